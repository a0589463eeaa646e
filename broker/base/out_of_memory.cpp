#include "broker/base/out_of_memory.hpp"

#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>
#include <system_error>

namespace linnet {

namespace {

std::terminate_handler before = nullptr;

// Not through the log: its lock may be held by whoever could not allocate.
[[noreturn]] void end(std::string_view refused) noexcept {
    for (const std::string_view part :
         {std::string_view("linnetd: out of memory: the system refused "), refused,
          std::string_view(", so this ends as if killed; what was confirmed is in the store\n")}) {
        static_cast<void>(::write(STDERR_FILENO, part.data(), part.size()));
    }
    std::_Exit(out_of_memory_exit_code);
}

[[noreturn]] void on_terminate() noexcept {
    if (std::current_exception()) {
        end_if_out_of_memory();
    }
    before();
    std::abort();
}

}  // namespace

void end_out_of_memory() noexcept { end("an allocation (see ulimit -v, vm.overcommit_memory)"); }

void end_when_out_of_memory() noexcept {
    if (before == nullptr) {
        before = std::set_terminate(on_terminate);
    }
    std::set_new_handler(end_out_of_memory);
}

void end_if_out_of_memory() noexcept {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        end_out_of_memory();
    } catch (const std::system_error& e) {
        if (e.code() == std::errc::resource_unavailable_try_again || e.code() == std::errc::not_enough_memory) {
            end("a thread (see ulimit -v, ulimit -u, pids.max)");
        }
    } catch (...) {}
}

}  // namespace linnet
