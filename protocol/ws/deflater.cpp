#include "protocol/ws/deflater.hpp"

#include "protocol/wire/check.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

namespace linnet::ws {
namespace {

// What a flush ends with, and the wire leaves out (RFC 7692, 7.2.1).
constexpr std::size_t tail_bytes = 4;

}  // namespace

struct deflater::stream {
    z_stream z{};
};

deflater::deflater(const deflater_settings& settings)
    : context_{settings.context}, stream_{std::make_unique<stream>()} {
    // zlib has no raw window of 256 bytes. Its one of 512 serves: matches stay 262 bytes away from the window's end.
    const int bits = std::max(settings.window_bits, 9);
    if (deflateInit2(&stream_->z, settings.level, Z_DEFLATED, -bits, settings.memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc{};
}

deflater::~deflater() { deflateEnd(&stream_->z); }

void deflater::begin() {
    size_ = 0;
    empty_ = true;
    if (out_.size() > kept_bytes_max)
        std::vector<std::uint8_t>{}.swap(out_);
    if (context_ == deflate_context::reset_each_message)
        deflateReset(&stream_->z);
}

void deflater::add(wire::bytes_view piece) {
    while (!piece.empty()) {
        const std::size_t size = std::min<std::size_t>(piece.size(), std::numeric_limits<uInt>::max() / 2);
        stream_->z.next_in = const_cast<Bytef*>(piece.data());  // zlib reads only
        stream_->z.avail_in = static_cast<uInt>(size);
        run(Z_NO_FLUSH);
        piece = piece.subspan(size);
        empty_ = false;
    }
}

wire::bytes_view deflater::finish() {
    // zlib flushes nothing twice in a row; an empty message is one empty block (RFC 7692, 7.2.3.6).
    static constexpr std::array<std::uint8_t, 1> empty_message{0};
    if (empty_)
        return empty_message;
    run(Z_SYNC_FLUSH);
    LINNET_WIRE_CHECK(size_ >= tail_bytes);
    return {out_.data(), size_ - tail_bytes};
}

void deflater::run(int flush) {
    z_stream& z = stream_->z;
    do {
        // zlib wants more than six bytes for a flush, lest it repeat the marker.
        const std::size_t wanted = z.avail_in + std::size_t{64};
        if (out_.size() - size_ < wanted)
            out_.resize(std::max(size_ + wanted, out_.size() * 2));
        const std::size_t room = std::min<std::size_t>(out_.size() - size_, std::numeric_limits<uInt>::max());
        z.next_out = out_.data() + size_;
        z.avail_out = static_cast<uInt>(room);
        const int status = ::deflate(&z, flush);
        LINNET_WIRE_CHECK(status == Z_OK || status == Z_BUF_ERROR);
        static_cast<void>(status);
        size_ += room - z.avail_out;
    } while (z.avail_in > 0 || z.avail_out == 0);
}

}  // namespace linnet::ws
