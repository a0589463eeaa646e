// Recovery and reading over a segment whose bytes are the fuzzer's.
//
// The first octet chooses salvage; then come instructions. Most lay down a record whose CRC is right, since no mutation
// would ever find one: lengths, kinds, flags, skips and payloads are what the fuzzer is to play with. Others put down
// raw bytes. Whatever is found: no crash, no hang, the log can be written to, and opens again with the same records.
#include "broker/base/assert.hpp"
#include "broker/store/log_file.hpp"
#include "broker/store/record.hpp"
#include "broker/store/segment.hpp"
#include "broker/store/simulated_disk.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace linnet;
using namespace linnet::store;

class input {
public:
    input(const std::uint8_t* data, std::size_t size) : left_{data, size} {}
    [[nodiscard]] bool empty() const { return left_.empty(); }
    std::uint8_t octet() {
        if (left_.empty())
            return 0;
        const std::uint8_t b = left_.front();
        left_ = left_.subspan(1);
        return b;
    }
    std::uint16_t pair() {
        const auto low = octet();
        return static_cast<std::uint16_t>(low | octet() << 8);
    }
    std::span<const std::uint8_t> some(std::size_t bytes) {
        const auto s = left_.first(std::min(bytes, left_.size()));
        left_ = left_.subspan(s.size());
        return s;
    }

private:
    std::span<const std::uint8_t> left_;
};

log_options options(bool salvage) {
    log_options o;
    o.store_id = 77;
    o.segment_bytes = 32 * 1024;
    o.salvage = salvage;
    return o;
}

// A segment, from instructions: up to one that says that the next segment begins.
std::vector<std::uint8_t> segment_from(input& in, std::uint64_t number) {
    std::vector<std::uint8_t> content(options(false).segment_bytes);
    const segment_header h{.store_id = 77, .number = number, .epoch = 1, .bytes = content.size()};
    encode_segment_header(h, std::span{content}.first(segment_header_bytes));
    const std::uint32_t seed = segment_seed(h);
    std::size_t at = segment_header_bytes;
    while (!in.empty()) {
        const std::uint8_t what = in.octet();
        if (what % 16 == 15)
            break;
        if (what % 16 == 14) {
            at += std::size_t{in.octet()} * record_alignment;
            continue;
        }
        const auto payload = in.some(what % 16 == 13   ? in.pair() % 9000
                                     : what % 16 == 12 ? commit_payload_bytes
                                                       : what % 32);
        if (at + record_bytes(payload.size()) > content.size())
            break;
        std::copy(payload.begin(), payload.end(),
                  content.begin() + static_cast<std::ptrdiff_t>(at + record_header_bytes));
        const record_header r{.length = static_cast<std::uint32_t>(payload.size()),
                              .kind = in.octet(),
                              .flags = in.octet(),
                              .skip = (what & 0x20) != 0 ? in.pair() : std::uint16_t{0}};
        if ((what & 0x40) == 0)
            seal_record(content.data() + at, r, seed + static_cast<std::uint32_t>(at));
        at += record_bytes(payload.size());
    }
    return content;
}

struct seen_all final : core::log_reader {
    void on_record(std::size_t, const core::log_record& r) override { bytes += r.payload.size(); }
    void on_done() override { done = true; }
    std::size_t bytes = 0;
    bool done = false;
};

using all_records = std::vector<std::pair<core::log_position, std::vector<std::uint8_t>>>;

std::unique_ptr<core::durable_log> open(simulated_disk& medium, bool salvage, all_records& records) {
    auto opened = open_log(
        medium.attach(), options(salvage),
        [&](const core::log_record& r) {
            records.emplace_back(r.at, std::vector<std::uint8_t>{r.payload.begin(), r.payload.end()});
        },
        nullptr);
    return opened ? std::move(opened->log) : nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input in{data, size};
    const bool salvage = (in.octet() & 1) != 0;
    disk_image image;
    for (std::uint64_t number = 1; number < 4 && (number == 1 || !in.empty()); ++number)
        image.emplace(segment_name(0, number), segment_from(in, number));
    simulated_disk medium{std::move(image), {.seed = 1, .prompt = true}};
    all_records before;
    {
        auto log = open(medium, salvage, before);
        if (!log)
            return 0;
        constexpr std::array<std::uint8_t, 3> payload{1, 2, 3};
        const std::array<std::span<const std::uint8_t>, 1> parts{payload};
        const auto mine = log->append(9, 0, parts);
        before.emplace_back(mine.at, std::vector<std::uint8_t>{payload.begin(), payload.end()});
        seen_all reader;
        log->read_on(log->begin(), 1 << 20, reader);
        for (int i = 0; i < 100 && !(reader.done && log->durable() == log->end()); ++i) {
            log->flush();
            log->poll();
        }
        LINNET_ASSERT(reader.done && log->durable() == log->end(), "the log hangs: {}", log->complaint());
        LINNET_ASSERT(log->close(), "{}", log->complaint());
    }
    all_records again;
    const auto log = open(medium, false, again);
    LINNET_ASSERT(log && again == before, "{} records, and then {}", before.size(), again.size());
    return 0;
}
