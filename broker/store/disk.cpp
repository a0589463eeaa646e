#include "broker/store/disk.hpp"

#include <system_error>

namespace linnet::store {

std::string to_text(const disk_error& e) { return "cannot " + e.what + ": " + std::generic_category().message(e.code); }

}  // namespace linnet::store
