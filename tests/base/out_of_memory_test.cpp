#include "broker/base/out_of_memory.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstddef>
#include <limits>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace linnet {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

constexpr const char* words = "linnetd: out of memory: ";

template <class Exception>
void throw_in_a_thread(Exception e) {
    end_when_out_of_memory();
    std::thread([&] { throw e; }).join();
}

// Volatile: that no compiler finds out that it can only fail.
volatile std::size_t far_too_much = std::numeric_limits<std::ptrdiff_t>::max() / 2;

TEST(OutOfMemory, EndsWhereNewGetsNone) {
    if (sanitized) {
        GTEST_SKIP() << "NOT TESTED: the sanitizer has its own new, and its own end";
    }
    const auto ask = [] {
        end_when_out_of_memory();
        try {
            ::operator delete(::operator new(far_too_much));
        } catch (const std::bad_alloc&) {  // too late to be caught
        }
    };
    EXPECT_EXIT(ask(), testing::ExitedWithCode(out_of_memory_exit_code), words);
    // Nobody asked for it: then it is thrown.
    EXPECT_THROW(::operator delete(::operator new(far_too_much)), std::bad_alloc);
}

TEST(OutOfMemory, EndsWhereNobodyCatchesIt) {
    const auto refused = std::make_error_code(std::errc::resource_unavailable_try_again);
    EXPECT_EXIT(throw_in_a_thread(std::bad_alloc()), testing::ExitedWithCode(out_of_memory_exit_code), words);
    EXPECT_EXIT(throw_in_a_thread(std::system_error(refused)), testing::ExitedWithCode(out_of_memory_exit_code), words);
}

TEST(OutOfMemory, OtherExceptionsAbortAsBefore) {
    const auto denied = std::make_error_code(std::errc::permission_denied);
    EXPECT_EXIT(throw_in_a_thread(std::runtime_error("ours")), testing::KilledBySignal(SIGABRT), "ours");
    EXPECT_EXIT(throw_in_a_thread(std::system_error(denied)), testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace linnet
