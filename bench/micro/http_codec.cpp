// What does HTTP cost a request, beside what it carries?
//
// A publish through HTTP has some 5 us for everything (200 000 a second on a core would be excellent); parsing and
// answering should be well below a tenth of that, and a connection that stays must not allocate for it.
#include "protocol/http/http_date.hpp"
#include "protocol/http/request_parser.hpp"
#include "protocol/http/response_parser.hpp"
#include "protocol/http/response_writer.hpp"
#include "protocol/http/sse.hpp"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <new>

namespace {

std::size_t allocations = 0;

}  // namespace

// Not inlined: the compiler would see malloc in one and not in the other, and warn of a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size); memory != nullptr)
        return memory;
    throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace linnet;

// What a load generator sends: the least that a publish needs.
constexpr std::string_view small_post = "POST /v1/%2F/q/orders HTTP/1.1\r\n"
                                        "Host: localhost:15672\r\n"
                                        "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n"
                                        "Content-Type: text/plain\r\n"
                                        "Content-Length: 16\r\n\r\n"
                                        "0123456789abcdef";

// What a browser sends: much that nobody asked for.
constexpr std::string_view browser_get =
    "GET /v1/%2F/events?topic=orders/%2B/state&after=1234 HTTP/1.1\r\n"
    "Host: broker.example:15672\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36\r\n"
    "Accept: text/event-stream\r\n"
    "Accept-Language: de,en-US;q=0.7,en;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Cache-Control: no-cache\r\n"
    "Referer: https://shop.example/orders\r\n"
    "Origin: https://shop.example\r\n"
    "Connection: keep-alive\r\n"
    "Sec-Fetch-Dest: empty\r\n"
    "Sec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Site: cross-site\r\n"
    "Last-Event-ID: 1234\r\n\r\n";

// One behind the other, as they lie in a read buffer of 64 KiB.
std::string pipelined(std::string_view request) {
    std::string stream;
    while (stream.size() < 65536)
        stream += request;
    return stream;
}

class allocation_count {
public:
    explicit allocation_count(benchmark::State& state) : state_{state} {}
    allocation_count(const allocation_count&) = delete;
    allocation_count& operator=(const allocation_count&) = delete;
    ~allocation_count() {
        state_.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before_),
                                                            benchmark::Counter::kAvgIterations);
    }

private:
    benchmark::State& state_;
    std::size_t before_ = allocations;
};

void parse_requests(benchmark::State& state, std::string_view request) {
    const std::string stream = pipelined(request);
    wire::bytes_view rest = wire::as_bytes(stream);
    http::request_parser parser;
    // The first one makes room for those that follow.
    for (bool ended = false; !ended;) {
        const auto step = parser.next(rest);
        rest = rest.subspan(step.taken);
        ended = step.what == http::request_event::end;
    }
    const allocation_count count{state};
    for (auto _ : state) {
        for (bool ended = false; !ended;) {
            const auto step = parser.next(rest);
            rest = rest.subspan(step.taken);
            if (step.what == http::request_event::refused) {
                state.SkipWithError("refused");
                return;
            }
            benchmark::DoNotOptimize(step.body.data());
            ended = step.what == http::request_event::end;
        }
        benchmark::DoNotOptimize(parser.request().target.segments().data());
        if (rest.empty())
            rest = wire::as_bytes(stream);
    }
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(request.size()));
}
BENCHMARK_CAPTURE(parse_requests, small_post, small_post);
BENCHMARK_CAPTURE(parse_requests, browser_get, browser_get);

void write_response(benchmark::State& state) {
    const std::string date = http::http_date(1'700'000'000);
    std::string out;
    out.reserve(1024);
    const allocation_count count{state};
    for (auto _ : state) {
        out.clear();
        http::response_writer{out, {}, http::status::created, date}
            .field("Content-Type", "application/json")
            .field("Durability", "disk")
            .body(R"({"id":"1-2-3"})");
        benchmark::DoNotOptimize(out.data());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(write_response);

void write_event(benchmark::State& state) {
    const std::string body(static_cast<std::size_t>(state.range(0)), 'x');
    std::string out;
    out.reserve(body.size() + 256);
    const allocation_count count{state};
    for (auto _ : state) {
        out.clear();
        http::append_message(out, {"1-123456", "orders.created", "application/json", body});
        benchmark::DoNotOptimize(out.data());
    }
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}
BENCHMARK(write_event)->Arg(64)->Arg(1024)->Arg(65536);

void parse_response(benchmark::State& state) {
    const std::string stream = pipelined(
        "HTTP/1.1 201 Created\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"id\":\"1-2-3\"}");
    wire::bytes_view rest = wire::as_bytes(stream);
    http::response_parser parser;
    for (auto _ : state) {
        for (bool ended = false; !ended;) {
            const auto step = parser.next(rest);
            rest = rest.subspan(step.taken);
            ended = step.what == http::response_event::end;
        }
        if (rest.empty())
            rest = wire::as_bytes(stream);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(parse_response);

}  // namespace
