# The routing table's part of the core; core's CMakeLists.txt includes it.
set(LINNET_TOPOLOGY_SOURCES)
set(LINNET_TOPOLOGY_HEADERS policy.hpp topology.hpp topology_editor.hpp)
set(LINNET_TOPOLOGY_PRIVATE_DEPS pcre2-8)
