#pragma once

namespace linnet {

// Empties a container and lets go of its memory. (`c = {}` assigns an empty list to it: a vector or a string keeps its
// capacity.)
template <class Container>
void give_back(Container& c) noexcept {
    Container().swap(c);
}

}  // namespace linnet
