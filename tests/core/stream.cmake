#Tests of streams; core's CMakeLists.txt includes this file.
linnet_test(stream_test SOURCES stream_test.cpp stream_model_test.cpp stream_shard_test.cpp DEPS linnet::core linnet::store)
