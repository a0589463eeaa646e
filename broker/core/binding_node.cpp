#include "broker/core/binding_node.hpp"

#include "broker/core/text_hash.hpp"

namespace linnet::core {

std::uint64_t binding_identity::hash() const noexcept {
    // Values are left to the comparison: bindings that differ in nothing else are rare.
    std::uint64_t h = stable_hash(source, process_seed + static_cast<std::uint64_t>(kind));
    h = stable_hash(destination, h);
    h = stable_hash(key, h + (hide_dollar ? 1 : 0));
    for (const auto& [name, unused] : *arguments) {
        h = stable_hash(name, h);
    }
    return h;
}

binding_node::binding_node(const binding_identity& what, queue_handle to, header_match how, std::uint32_t share)
    : hash(what.hash()),
      queue(to),
      kind(what.kind),
      hide_dollar(what.hide_dollar),
      match(how),
      weight(share),
      arguments(*what.arguments),
      source_bytes_(static_cast<std::uint32_t>(what.source.size())),
      destination_bytes_(static_cast<std::uint32_t>(what.destination.size())) {
    text_.reserve(what.source.size() + what.destination.size() + what.key.size());
    text_.append(what.source).append(what.destination).append(what.key);
}

bool binding_node::is(const binding_identity& other) const noexcept {
    return kind == other.kind && hide_dollar == other.hide_dollar && key() == other.key &&
           destination() == other.destination && source() == other.source && arguments == *other.arguments;
}

}  // namespace linnet::core
