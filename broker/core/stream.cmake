# The streams' part of the core; core's CMakeLists.txt includes it.
set(LINNET_STREAM_SOURCES
    shard_streams.cpp stream.cpp stream_chunks.cpp stream_filter.cpp stream_index.cpp stream_read.cpp stream_record.cpp
    stream_retention.cpp stream_start.cpp)
set(LINNET_STREAM_HEADERS
    shard_streams.hpp stream.hpp stream_chunks.hpp stream_filter.hpp stream_index.hpp stream_item.hpp stream_record.hpp stream_start.hpp)
