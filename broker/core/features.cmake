# What queues and exchanges do beside passing messages on; core's CMakeLists.txt includes this file.
set(LINNET_FEATURE_SOURCES client_records.cpp client_registry.cpp dedup_window.cpp delay_store.cpp delay_tree.cpp errands.cpp group_lines.cpp keyed_hash.cpp
    message_key.cpp queue_features.cpp reply_handle.cpp reply_records.cpp reply_registry.cpp retained_store.cpp retained_tree.cpp retry.cpp shard_clients.cpp
    shard_delay.cpp shard_errands.cpp shard_once.cpp shard_replies.cpp shard_retained.cpp)
set(LINNET_FEATURE_HEADERS client.hpp client_names.hpp client_registry.hpp dedup_window.hpp delay_store.hpp delay_tree.hpp errand_marks.hpp errands.hpp group_lines.hpp keyed_hash.hpp
    homes.hpp message_key.hpp pattern_syntax.hpp properties.hpp reply_handle.hpp reply_registry.hpp retained.hpp retained_store.hpp retained_tree.hpp
    retry.hpp shard_clients.hpp shard_errands.hpp shard_once.hpp shard_replies.hpp shard_retained.hpp)
