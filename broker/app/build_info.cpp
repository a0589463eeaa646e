#include "broker/app/build_info.hpp"

#include <argon2.h>
#include <asio/version.hpp>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <spdlog/version.h>

#include <string_view>

namespace linnet::app {
namespace {

std::string compiler() {
#if defined(__clang__)
    return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
    return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string asio_version() {
    return fmt::format("{}.{}.{}", ASIO_VERSION / 100000, ASIO_VERSION / 100 % 1000, ASIO_VERSION % 100);
}

constexpr std::string_view sanitizers() {
#if defined(__SANITIZE_ADDRESS__)
    return "address";
#elif defined(__SANITIZE_THREAD__)
    return "thread";
#else
    return "none";
#endif
}

constexpr std::string_view debug_checks() {
#if defined(LINNET_DEBUG_CHECKS)
    return "on";
#else
    return "off";
#endif
}

}  // namespace

std::string version_number() { return LINNET_VERSION; }

std::string version_line() {
    return fmt::format("linnet {} ({}, {}, asio {}, openssl {})", LINNET_VERSION, LINNET_GIT_SHA, compiler(),
                       asio_version(), OpenSSL_version(OPENSSL_VERSION_STRING));
}

std::string build_info_text() {
    return fmt::format("version: {}\ncommit: {}\ncompiler: {}\nbuild type: {}\nsanitizers: {}\ndebug checks: {}\n"
                       "asio: {}\nopenssl: {}\nfmt: {}.{}.{}\nspdlog: {}.{}.{}\nargon2: {}\n",
                       LINNET_VERSION, LINNET_GIT_SHA, compiler(), LINNET_BUILD_TYPE, sanitizers(), debug_checks(),
                       asio_version(), OpenSSL_version(OPENSSL_VERSION_STRING), FMT_VERSION / 10000,
                       FMT_VERSION / 100 % 100, FMT_VERSION % 100, SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH,
                       ARGON2_VERSION_NUMBER);
}

}  // namespace linnet::app
