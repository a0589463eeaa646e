#include "broker/app/certificate_check.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>

namespace linnet::app {
namespace {

using bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using private_key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

bio open(const std::string& file) { return {BIO_new_file(file.c_str(), "r"), BIO_free}; }

// Instead of asking at a terminal, which a daemon has none of.
int give_password(char* into, int size, int, void* password) {
    const auto& text = *static_cast<const std::string*>(password);
    const auto length = std::min(text.size(), static_cast<std::size_t>(size));
    std::memcpy(into, text.data(), length);
    return static_cast<int>(length);
}

certificate first_certificate(const std::string& file) {
    const auto in = open(file);
    return {in ? PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr) : nullptr, X509_free};
}

private_key read_key(const std::string& file, std::string password) {
    const auto in = open(file);
    return {in ? PEM_read_bio_PrivateKey(in.get(), nullptr, give_password, &password) : nullptr, EVP_PKEY_free};
}

}  // namespace

certificate_problems check_certificate_files(const std::string& cert_file, const std::string& key_file,
                                             const std::string& key_password, const std::string& ca_file) {
    auto problems = certificate_problems{};
    auto cert = certificate{nullptr, X509_free};
    if (!cert_file.empty() && !(cert = first_certificate(cert_file))) {
        problems.cert = "holds no PEM certificate";
    }
    if (!key_file.empty()) {
        const auto key = read_key(key_file, key_password);
        if (!key) {
            problems.key = key_password.empty() ? "holds no PEM private key, or needs key_password"
                                                : "holds no PEM private key, or key_password is wrong";
        } else if (cert && X509_check_private_key(cert.get(), key.get()) != 1) {
            problems.key = "is not the key of the certificate";
        }
    }
    if (!ca_file.empty() && !first_certificate(ca_file)) {
        problems.ca = "holds no PEM certificate";
    }
    ERR_clear_error();
    return problems;
}

std::int64_t certificate_ends_s(const std::string& cert_file) {
    const auto cert = first_certificate(cert_file);
    std::tm ends{};
    const bool known = cert && ASN1_TIME_to_tm(X509_get0_notAfter(cert.get()), &ends) == 1;
    ERR_clear_error();
    return known ? std::int64_t{::timegm(&ends)} : 0;
}

}  // namespace linnet::app
