#include "protocol/ws/inflater.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

namespace linnet::ws {

struct inflater::stream {
    z_stream z{};
    bool valid = true;
    bool at_block_end = false;
};

inflater::inflater(int window_bits) : stream_{std::make_unique<stream>()} {
    // 256 bytes of window are a special case for zlib's compressor, which peers may work around by taking 512.
    const int bits = std::max(window_bits, 9);
    if (inflateInit2(&stream_->z, -bits) != Z_OK)  // negative: without header and checksum
        throw std::bad_alloc{};
}

inflater::~inflater() { inflateEnd(&stream_->z); }

inflater::progress inflater::inflate(wire::bytes_view in, std::span<std::uint8_t> out) {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    z_stream& z = stream_->z;
    in = in.first(std::min(in.size(), most));
    out = out.first(std::min(out.size(), most));
    z.next_in = const_cast<Bytef*>(in.data());  // zlib reads only
    z.avail_in = static_cast<uInt>(in.size());
    z.next_out = out.data();
    z.avail_out = static_cast<uInt>(out.size());
    while (stream_->valid && z.avail_out > 0) {
        const int status = ::inflate(&z, Z_SYNC_FLUSH);
        if (status == Z_MEM_ERROR)
            throw std::bad_alloc{};
        if (status == Z_BUF_ERROR)
            break;  // nothing could be done: no error, and no news of blocks either
        // zlib.h on data_type: 128 at the end of a block; the low bits count what is left of the last octet.
        stream_->at_block_end = (z.data_type & (128 | 31)) == 128;
        if (status == Z_STREAM_END) {
            // A block marked as the last one ends deflate's stream, not the message's (RFC 7692, 7.2.3.5). What
            // follows may refer to what came before, hence Keep: the window stays.
            inflateResetKeep(&z);
        } else if (status != Z_OK) {
            stream_->valid = false;
        } else if (z.avail_in == 0) {
            break;
        }
    }
    return {in.size() - z.avail_in, out.size() - z.avail_out, stream_->valid};
}

bool inflater::at_block_end() const noexcept { return stream_->at_block_end; }

}  // namespace linnet::ws
