#pragma once

namespace linnet::cli {

// As sysexits.h; scripts match on them. `partial`: of several things some were done and some could not be.
enum class exit_code : int {
    ok = 0,
    failure = 1,
    partial = 3,
    usage = 64,
    bad_data = 65,
    unreachable = 69,
    bug = 70,
    io = 74,
    auth = 77,
    config = 78
};

}  // namespace linnet::cli
