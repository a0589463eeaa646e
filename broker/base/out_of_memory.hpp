#pragma once

// What this process does when the system refuses it memory, or a thread: it says so and ends, at once (decision 0022).
//
// A turn that cannot be finished cannot be taken back either: a message may stand in two of its three queues. So
// nothing goes on from there, no destructor tells anybody anything, and what the log holds is what there is.
//
// Threads: end_when_out_of_memory() from the main thread before others are started; the end may come in any.
// Fails:   cannot; the end allocates nothing.

namespace linnet {

// EX_OSERR of sysexits.h, which nothing else ends with: supervisors may start it again.
inline constexpr int out_of_memory_exit_code = 71;

// From now on for every operator new that gets none, and for what leaves a thread or a noexcept function:
// std::bad_alloc (of memory that comes another way: pages, zlib's, Asio's), a std::system_error for want of either.
// Other exceptions that nobody catches abort as before.
void end_when_out_of_memory() noexcept;

// One line on stderr, and _Exit(out_of_memory_exit_code).
[[noreturn]] void end_out_of_memory() noexcept;

// For the exception that is being handled, as above; returns if it is another one.
void end_if_out_of_memory() noexcept;

}  // namespace linnet
