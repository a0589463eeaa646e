#pragma once

namespace linnet::cli {

// As sysexits.h; scripts match on them.
enum class exit_code : int { ok = 0, failure = 1, usage = 64, unreachable = 69, bug = 70, auth = 77, config = 78 };

}  // namespace linnet::cli
