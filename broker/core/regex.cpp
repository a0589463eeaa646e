#include "broker/core/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <new>

namespace linnet::core {

namespace {

// Far above what an honest pattern needs for a name of 255 bytes; some milliseconds of work at most.
constexpr std::uint32_t match_steps_max = 100'000;
constexpr std::uint32_t match_heap_kib_max = 1'024;

struct match_memory {
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    // Rights ask whether, never where: one pair suffices for every pattern.
    pcre2_match_data* data = pcre2_match_data_create(1, nullptr);

    match_memory() {
        if (context == nullptr || data == nullptr) {
            throw std::bad_alloc();
        }
        pcre2_set_match_limit(context, match_steps_max);
        pcre2_set_heap_limit(context, match_heap_kib_max);
    }
    match_memory(const match_memory&) = delete;
    match_memory& operator=(const match_memory&) = delete;
    ~match_memory() {
        pcre2_match_data_free(data);
        pcre2_match_context_free(context);
    }
};

[[nodiscard]] PCRE2_SPTR units(std::string_view text) noexcept {
    static constexpr char nothing = 0;
    return reinterpret_cast<PCRE2_SPTR>(text.data() == nullptr ? &nothing : text.data());
}

[[nodiscard]] std::string engine_text(int code) {
    std::array<PCRE2_UCHAR, 256> text{};
    pcre2_get_error_message(code, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

}  // namespace

result<regex, std::string> regex::compile(std::string_view pattern) {
    if (pattern == ".*") {
        return regex(pattern, kind::everything);
    }
    if (pattern.empty() || pattern == "^$") {
        return regex(pattern, kind::nothing_but_empty);
    }
    int code = 0;
    PCRE2_SIZE at = 0;
    // Names are bytes; a pattern and a name of the same UTF-8 text still match.
    pcre2_code* compiled = pcre2_compile(units(pattern), pattern.size(), 0, &code, &at, nullptr);
    if (compiled == nullptr) {
        if (code == PCRE2_ERROR_HEAP_FAILED) {
            throw std::bad_alloc();  // the pattern is as good as before
        }
        return fail(fmt::format("{} at position {}", engine_text(code), at));
    }
    regex r(pattern, kind::engine);
    r.code_ = std::shared_ptr<const void>(
        compiled, [](const void* p) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p))); });
    return r;
}

bool regex::matches(std::string_view text) const {
    switch (kind_) {
        case kind::everything: return true;
        case kind::nothing_but_empty: return text.empty();
        case kind::engine: break;
    }
    thread_local match_memory memory;
    const auto* code = static_cast<const pcre2_code*>(code_.get());
    const int found = pcre2_match(code, units(text), text.size(), 0, 0, memory.data, memory.context);
    if (found == PCRE2_ERROR_NOMEMORY) {
        throw std::bad_alloc();  // "no" would be an answer: to a right, or to whether a policy applies
    }
    return found >= 0;
}

std::string regex_quote(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\0') {
            out += "\\x00";
            continue;
        }
        // A backslash before a letter, digit or byte of a longer character would mean something else.
        if (byte < 0x80 && std::isalnum(byte) == 0 && c != '_') {
            out += '\\';
        }
        out += c;
    }
    return out;
}

}  // namespace linnet::core
