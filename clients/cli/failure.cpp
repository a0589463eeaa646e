#include "clients/cli/failure.hpp"

#include <cstdio>

namespace linnet::cli {

exit_code complain(std::string_view command, const failure& f) {
    fmt::print(stderr, "linnet {}: {}\n", command, f.why);
    if (!f.next.empty()) {
        fmt::print(stderr, "  {}\n", f.next);
    }
    return f.code;
}

}  // namespace linnet::cli
