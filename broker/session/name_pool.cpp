#include "broker/session/name_pool.hpp"

namespace linnet::session {

shared_name::~shared_name() {
    if (held_ != nullptr && --held_->references == 0) {
        held_->pool.names_.erase(held_->pool.names_.find(held_->text));
    }
}

shared_name name_pool::get(std::string_view text) {
    if (text.empty()) {
        return {};
    }
    const auto known = names_.find(text);
    if (known != names_.end()) {
        return shared_name(*known->second);
    }
    std::unique_ptr<shared_name::held> made(new shared_name::held{*this, std::string(text)});
    auto& name = *made;
    names_.emplace(name.text, std::move(made));
    return shared_name(name);
}

}  // namespace linnet::session
