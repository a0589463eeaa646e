#pragma once

#include <cstdint>

namespace linnet::app {

// Of this process, as the kernel has it; 0 where it does not say. Any thread.
[[nodiscard]] std::uint64_t resident_bytes() noexcept;

// Gives pages of the heap back that hold nothing. Any thread; others that allocate wait for some milliseconds.
void release_heap() noexcept;

// Lets go of what only the start needed: freed heap pages, and the pages of code and constants that the start ran
// through. What is still needed comes back from the page cache when it is next touched, a minor fault each.
//
// Any thread, at any time: nothing that others use changes.
void release_start_memory() noexcept;

}  // namespace linnet::app
