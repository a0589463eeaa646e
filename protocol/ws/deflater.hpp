// Compresses messages (RFC 7692).
//
// With a context each message may refer to the ones before: a connection needs a deflater of its own, 150 KiB at
// the default settings. Without one, a shard's connections share one (message_writer borrows it).
//
// Threads:  one at a time.
// Owns:     its window and tables, and the last message's compressed bytes.
// Bounds:   keeps at most `kept_bytes_max` for those between messages.
// Fails:    std::bad_alloc without memory, as any container.
#pragma once

#include "protocol/wire/bytes.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace linnet::ws {

enum class deflate_context : std::uint8_t { kept, reset_each_message };

struct deflater_settings {
    int window_bits = 15;  // 8 to 15: 2^(window_bits + 2) bytes
    // Measured on JSON of 256 bytes to 16 KiB (bench_ws_codec, deflate): level 6 saves 1 to 15 per cent more for up to
    // 2.5 times the time; memory levels above 5 save nothing and take longer to reset.
    int level = 1;         // to 9
    int memory_level = 5;  // 1 to 9: 2^(memory_level + 9) bytes
    deflate_context context = deflate_context::reset_each_message;
};

class deflater {
public:
    static constexpr std::size_t kept_bytes_max = 256 * 1024;

    explicit deflater(const deflater_settings& settings);
    deflater(const deflater&) = delete;
    deflater& operator=(const deflater&) = delete;
    ~deflater();

    // A message is its pieces, then what finish() returns: valid until the next begin().
    void begin();
    void add(wire::bytes_view piece);
    [[nodiscard]] wire::bytes_view finish();

    [[nodiscard]] wire::bytes_view compress(wire::bytes_view message) {
        begin();
        add(message);
        return finish();
    }

    [[nodiscard]] deflate_context context() const noexcept { return context_; }

private:
    struct stream;

    void run(int flush);

    deflate_context context_;
    bool empty_ = true;  // nothing was added since begin()
    std::size_t size_ = 0;
    std::vector<std::uint8_t> out_;  // size_ bytes of it are in use
    std::unique_ptr<stream> stream_;
};

}  // namespace linnet::ws
