#include "broker/store/preparation.hpp"

#include "broker/base/assert.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace linnet::store {

namespace {

// Never written to, so that it takes no memory: its pages are all the kernel's one page of zeros.
alignas(disk::block) std::uint8_t zeros[preparation::piece_bytes];

std::int64_t negated(int error) noexcept { return -static_cast<std::int64_t>(error); }
std::int64_t result_of(int returned) noexcept { return returned < 0 ? negated(errno) : returned; }

}  // namespace

preparation::preparation(const folder_access& in, std::string name, std::uint64_t bytes, content c)
    : in_(in), name_(std::move(name)), part_(name_ + std::string(part_suffix)), bytes_(bytes), content_(c) {
    LINNET_ASSERT(bytes % disk::block == 0, "{} bytes are not whole blocks", bytes);
}

int preparation::open_flags() const noexcept {
    return O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | (in_.direct ? O_DIRECT : 0);
}

std::span<const std::uint8_t> preparation::piece() const noexcept {
    return std::span(zeros).first(std::min<std::uint64_t>(bytes_ - filled_, piece_bytes));
}

void preparation::fail(int error) noexcept {
    error_ = error;
    step_ = file_ ? step::discard : step::done;
}

void preparation::abandon() noexcept {
    if (step_ != step::done) {
        fail(ECANCELED);
    }
}

void preparation::do_step() noexcept { took(do_it()); }

std::int64_t preparation::do_it() noexcept {
    switch (step_) {
        case step::open: return open_at(in_.fd, part(), open_flags(), file_mode);
        case step::allocate: return result_of(::fallocate(file(), 0, 0, static_cast<off_t>(bytes_)));
        case step::fill:
            return result_of(static_cast<int>(::pwrite(file(), zeros, piece().size(), static_cast<off_t>(filled_))));
        case step::sync_file: return negated(store::sync_file(file()));
        case step::rename: return negated(rename_new(in_.fd, part(), name()));
        case step::sync_folder: return negated(store::sync_file(in_.fd));
        case step::discard: return result_of(::unlinkat(in_.fd, part(), 0));
        case step::done: break;
    }
    return 0;
}

void preparation::took(std::int64_t result) noexcept {
    if (result == -EINTR) {
        return;
    }
    const int error = result < 0 ? static_cast<int>(-result) : 0;
    switch (step_) {
        case step::open:
            if (error != 0) {
                return fail(error);
            }
            file_ = unique_fd(static_cast<int>(result));
            step_ = bytes_ == 0 ? step::sync_file : step::allocate;
            return;
        case step::allocate:
            if (error == EOPNOTSUPP) {  // then the zeros have to set it aside
                content_ = content::filled;
            } else if (error != 0) {
                return fail(error);
            }
            step_ = content_ == content::filled ? step::fill : step::sync_file;
            return;
        case step::fill: {
            const std::size_t moved = error != 0 ? 0 : whole_blocks(static_cast<std::size_t>(result));
            if (moved == 0) {
                return fail(error != 0 ? error : EIO);
            }
            filled_ += moved;
            step_ = filled_ == bytes_ ? step::sync_file : step::fill;
            return;
        }
        case step::sync_file:
            if (error != 0) {
                return fail(error);
            }
            step_ = step::rename;
            return;
        case step::rename:
            if (error != 0) {
                return fail(error);
            }
            // From here on it has its name, and stays.
            file_ = unique_fd();
            step_ = step::sync_folder;
            return;
        case step::sync_folder:
            error_ = error;
            step_ = step::done;
            return;
        case step::discard: step_ = step::done; return;  // it has failed already, and says why
        case step::done: return;
    }
}

}  // namespace linnet::store
