#include "tests/core/random_seed.hpp"
#include "tests/core/stream_fixture.hpp"

#include <fmt/format.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

// A stream against a model of it: many readers with and without filters and credit, retention, a disk that is late, and
// crashes in between. Whatever happens, each reader sees the messages of its filter in order, each once, none that is
// not durable, and skips only what has been forgotten.

namespace linnet::core {
namespace {

constexpr std::uint64_t segment_bytes = 256 * 1024;
constexpr int colours = 3;

class model_reader final : public delivery_sink {
public:
    void on_delivery(std::uint64_t, delivery&& d) override { got.push_back(std::move(d)); }
    void on_cancelled(std::uint64_t, cancel_reason) override {}
    void on_gap(std::uint64_t, position resumed) override { gaps.push_back(resumed); }
    void on_direct(message_ptr) override {}
    void set_ready(bool r) { ready_ = r; }

    std::deque<delivery> got;
    std::vector<position> gaps;
    consumer_id id{};
    int colour = -1;  // of its filter; -1: none
    std::uint32_t prefetch = 0;
    std::uint32_t unsettled = 0;
    position next = 0;
};

class stream_model {
public:
    explicit stream_model(std::uint64_t seed) : random_(seed) {
        message_pool::enter(&shard_.messages);
        spec_.name = "s";
        spec_.uid = 7;
        spec_.settings.type = queue_type::stream;
        spec_.settings.segment_bytes = segment_bytes;
        if (chance(2)) {
            spec_.settings.max_length_bytes = segment_bytes * (1 + below(4));
        }
        if (chance(2)) {
            spec_.settings.max_age = (1 + static_cast<wall_ns>(below(60))) * ns_per_s;
        }
        start(std::make_unique<store::memory_log>(segment_bytes), nullptr);
    }
    ~stream_model() {
        readers_.clear();
        stream_.reset();
        message_pool::enter(nullptr);
    }

    void run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
            step();
            check();
        }
        log_->release();
        for (auto& r : readers_) {
            r->set_ready(true);
            r->prefetch = 0;  // one by one would take a turn for each message
            stream_->set_prefetch(r->id, 0);
        }
        for (int i = 0; i < 3000 && !settled(); ++i) {
            turn();
            check();
            settle_all();
        }
        EXPECT_TRUE(settled()) << "a reader never reached the end";
        EXPECT_TRUE(waiting_.empty());
    }

private:
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_() % n; }
    [[nodiscard]] bool chance(std::uint64_t one_in) { return below(one_in) == 0; }

    void step() {
        switch (below(16)) {
            case 0: attach(); break;
            case 1: detach(); break;
            case 2: chance(2) ? log_->hold() : log_->release(); break;
            case 3: shard_.advance(static_cast<mono_ns>(below(5 * ns_per_s))); break;
            case 4:
                if (chance(20)) {
                    crash();
                }
                break;
            case 5:
            case 6: settle_all(); break;
            case 7:
                if (!readers_.empty()) {
                    readers_[below(readers_.size())]->set_ready(chance(2));
                }
                break;
            case 8:
            case 9:
            case 10: publish(1 + below(200)); break;
            default: turn(); break;
        }
    }

    void publish(std::uint64_t count) {
        while (count-- != 0) {
            const position offset = stream_->next_offset();
            const auto colour = below(colours);
            const std::size_t size = chance(300) ? below(100'000) : below(400);
            const auto body = fmt::format("{}/{}/", offset, written_.size()) + std::string(size, 'x');
            const auto headers = fmt::format("x-stream-filter-value={}", colour);
            const auto bytes = [](const std::string& t) {
                return std::span(reinterpret_cast<const std::uint8_t*>(t.data()), t.size());
            };
            auto m = make_message(shard_.messages, "x", "k", bytes(headers), bytes(body), {});
            ASSERT_EQ(stream_->append(std::move(m)), enqueue_result::accepted);
            written_.resize(offset);
            written_.push_back({body, static_cast<int>(colour)});
            if (chance(10)) {
                stream_->wait({.sequence = offset});
                waiting_.push_back(offset);
            }
        }
    }

    void attach() {
        if (readers_.size() >= 12) {
            return;
        }
        auto r = std::make_unique<model_reader>();
        value_table arguments;
        if (chance(3)) {
            r->colour = static_cast<int>(below(colours));
            arguments.emplace_back("x-stream-filter", make_string(std::to_string(r->colour)));
        }
        position wanted = stream_->first_offset();
        switch (below(3)) {
            case 0: arguments.emplace_back("x-stream-offset", make_string("first")); break;
            case 1: wanted = stream_->next_offset(); break;
            default:
                wanted = below(stream_->next_offset() + 5);
                arguments.emplace_back("x-stream-offset", make_int64(static_cast<std::int64_t>(wanted)));
                wanted = std::min(wanted, stream_->next_offset());
        }
        r->next = wanted;
        r->prefetch = chance(2) ? 0 : static_cast<std::uint32_t>(1 + below(50));
        stream::attachment a;
        ASSERT_TRUE(stream::read_arguments(arguments, "s", shard_.wall, a));
        a.sink = r.get();
        a.prefetch = r->prefetch;
        a.no_ack = r->prefetch == 0;
        r->id = stream_->attach(std::move(a));
        readers_.push_back(std::move(r));
    }
    void detach() {
        if (!readers_.empty()) {
            const auto at = readers_.begin() + static_cast<std::ptrdiff_t>(below(readers_.size()));
            stream_->detach((*at)->id);
            readers_.erase(at);
        }
    }
    void settle_all() {
        for (auto& r : readers_) {
            stream_->settle(r->id, r->unsettled);
            r->unsettled = 0;
        }
    }

    void turn() {
        stream_->flush();
        static_cast<void>(stream_->poll());
        static_cast<void>(stream_->pump());
    }

    // What has been delivered since the last look is what the model says.
    void check() {
        for (const auto sequence : std::exchange(shard_.durable, {})) {
            ASSERT_FALSE(waiting_.empty());
            ASSERT_EQ(sequence, waiting_.front()) << "confirmed out of order";
            ASSERT_LT(sequence, stream_->readable_end()) << "confirmed before it was durable";
            waiting_.pop_front();
            confirmed_ = sequence + 1;
        }
        for (auto& r : readers_) {
            while (!r->got.empty()) {
                const delivery d = std::move(r->got.front());
                r->got.pop_front();
                check(*r, d);
            }
            ASSERT_TRUE(r->prefetch == 0 || r->unsettled <= r->prefetch);
        }
    }
    void check(model_reader& r, const delivery& d) {
        ASSERT_LT(d.pos, stream_->readable_end()) << "read before it was durable";
        ASSERT_GE(d.pos, r.next) << "read again";
        for (; r.next < d.pos; ++r.next) {
            const bool unwanted = r.colour >= 0 && written_[r.next].colour != r.colour;
            ASSERT_TRUE(unwanted || r.next < stream_->first_offset()) << "left out " << r.next;
        }
        const auto body = d.msg->body();
        ASSERT_EQ(std::string(body.begin(), body.end()), written_[d.pos].body);
        ASSERT_TRUE(r.colour < 0 || written_[d.pos].colour == r.colour);
        r.next = d.pos + 1;
        r.unsettled += r.prefetch == 0 ? 0 : 1;
    }
    // Everybody has everything that there is for him.
    [[nodiscard]] bool settled() const {
        if (stream_->busy() || stream_->readable_end() != stream_->next_offset()) {
            return false;
        }
        for (const auto& r : readers_) {
            for (position p = std::max(r->next, stream_->first_offset()); p < stream_->next_offset(); ++p) {
                if (r->colour < 0 || written_[p].colour == r->colour) {
                    return false;
                }
            }
        }
        return true;
    }

    // What was durable is there again; what was not may be gone, and nobody had seen it or been told of it.
    void crash() {
        std::vector<std::vector<std::uint8_t>> kept;
        log_->scan(0, [&kept](const log_record& r) {
            kept.emplace_back(r.payload.begin(), r.payload.end());
            return true;
        });
        const position readable = stream_->readable_end();
        const position first = stream_->first_offset();
        readers_.clear();
        stream_.reset();
        waiting_.clear();
        start(std::make_unique<store::memory_log>(segment_bytes), &kept);
        ASSERT_GE(stream_->next_offset(), readable);
        ASSERT_GE(stream_->next_offset(), confirmed_);
        ASSERT_GE(stream_->first_offset(), kept.empty() ? 0 : first);
        written_.resize(stream_->next_offset());
    }
    void start(std::unique_ptr<store::memory_log> log, const std::vector<std::vector<std::uint8_t>>* kept) {
        log_ = log.get();
        stream_ = std::make_unique<stream>(shard_, queue_handle{1, 1, {}}, spec_);
        if (kept != nullptr) {
            for (const auto& bytes : *kept) {
                const std::span<const std::uint8_t> part(bytes);
                const auto a = log->append(1, 0, {&part, 1});
                stream_->replay({.at = a.at, .kind = 1, .flags = 0, .payload = part});
            }
            log->flush();
            static_cast<void>(log->poll());
        }
        stream_->open(std::move(log));
    }

    struct written {
        std::string body;
        int colour = 0;
    };

    std::mt19937_64 random_;
    fake_stream_shard shard_;
    queue_spec spec_;
    store::memory_log* log_ = nullptr;
    std::unique_ptr<stream> stream_;
    std::vector<std::unique_ptr<model_reader>> readers_;
    std::vector<written> written_;
    std::deque<position> waiting_;
    position confirmed_ = 0;
};

TEST(StreamModel, EveryReaderSeesItsMessagesOnceInOrderWhateverHappens) {
    const auto first = test::fresh_seed();
    for (std::uint64_t seed = first; seed < first + 60 && !testing::Test::HasFailure(); ++seed) {
        LINNET_TRACE_SEED(seed);
        stream_model(seed).run(1500);
    }
}

}  // namespace
}  // namespace linnet::core
