// Why a command could not do what it was asked, and what to do about it.
#pragma once

#include "clients/cli/exit_code.hpp"

#include <fmt/format.h>

#include <string>
#include <tl/expected.hpp>

namespace linnet::cli {

struct failure {
    exit_code code = exit_code::failure;
    std::string why;
    std::string next{};  // a sentence; empty: nothing to suggest
};

template <class T>
using result = tl::expected<T, failure>;

[[nodiscard]] inline tl::unexpected<failure> fail(exit_code code, std::string why, std::string next = {}) {
    return tl::unexpected{failure{code, std::move(why), std::move(next)}};
}

// "linnet queue show: the queue is not there. Try ..." on standard error; answers the code.
exit_code complain(std::string_view command, const failure& f);

}  // namespace linnet::cli
