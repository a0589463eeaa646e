#pragma once

#include <cstdint>
#include <string>

namespace linnet::app {

// What would keep a listener from using these PEM files, before one tries to. Empty: nothing.
struct certificate_problems {
    std::string cert;  // with cert_file: not PEM, or not one certificate in it
    std::string key;   // with key_file: not PEM, a wrong password, or the key of another certificate
    std::string ca;    // with ca_file: not one certificate in it

    bool operator==(const certificate_problems&) const = default;
};

// Empty names are not looked at; files that cannot be read count as empty.
[[nodiscard]] certificate_problems check_certificate_files(const std::string& cert_file, const std::string& key_file,
                                                           const std::string& key_password, const std::string& ca_file);

// When the first certificate in that file ends to be valid, in seconds since 1970; 0: it cannot be told.
[[nodiscard]] std::int64_t certificate_ends_s(const std::string& cert_file);

}  // namespace linnet::app
