#include "broker/store/disk.hpp"

#include <cerrno>
#include <system_error>

namespace linnet::store {

bool lacks_room(int error) noexcept { return error == ENOSPC || error == EDQUOT; }

bool lacks_means(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EAGAIN;
}

std::string to_text(const disk_error& e) { return "cannot " + e.what + ": " + std::generic_category().message(e.code); }

}  // namespace linnet::store
