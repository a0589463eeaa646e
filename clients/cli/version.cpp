#include "clients/cli/version.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

namespace linnet::cli {
namespace {

std::string compiler() {
#if defined(__clang__)
    return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
    return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

}  // namespace

std::string version_line() { return fmt::format("linnet {} ({}, {})", LINNET_VERSION, LINNET_GIT_SHA, compiler()); }

exit_code show_version(output_form form) {
    if (form == output_form::table) {
        fmt::print("{}\n", version_line());
        return exit_code::ok;
    }
    fmt::print("{}", render({{"version", std::string{LINNET_VERSION}},
                             {"commit", std::string{LINNET_GIT_SHA}},
                             {"compiler", compiler()},
                             {"openssl", std::string{OpenSSL_version(OPENSSL_VERSION_STRING)}}},
                            form));
    return exit_code::ok;
}

}  // namespace linnet::cli
