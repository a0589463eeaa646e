#include "broker/core/flight_recorder.hpp"

namespace linnet::core {

namespace {

// As a slot that nobody takes for an event: the step is where every event has it.
struct text_slot {
    std::array<char, 8> first;
    std::uint64_t at_us : 52;
    std::uint64_t step : 6;
    std::uint64_t : 6;
    std::array<char, 16> rest;
};
static_assert(sizeof(text_slot) == sizeof(flight_event));

}  // namespace

void flight_recorder::write(flight_event e, std::string_view exchange, std::string_view key) {
    std::array<char, text_bytes_max> text{};
    const std::size_t of_exchange = exchange.copy(text.data(), text.size());
    const std::size_t of_key = key.copy(text.data() + of_exchange, text.size() - of_exchange);
    const std::size_t bytes = of_exchange + of_key;
    e.publication.exchange_bytes = of_exchange;
    e.publication.text_bytes = bytes;
    e.publication.cut = bytes < exchange.size() + key.size() ? 1 : 0;
    write(e);
    for (std::size_t done = 0; done < bytes; done += text_bytes_a_slot) {
        text_slot s{};
        s.at_us = e.at_us;
        s.step = static_cast<std::uint64_t>(flight_step::text);
        std::memcpy(s.first.data(), text.data() + done, s.first.size());
        std::memcpy(s.rest.data(), text.data() + done + s.first.size(), s.rest.size());
        flight_event slot;
        std::memcpy(&slot, &s, sizeof slot);
        write(slot);
    }
}

flight_recorder::words flight_recorder::words_of(std::uint64_t number) const {
    const auto& p = at(number).publication;
    std::string text;
    for (std::uint64_t n = number + 1; text.size() < p.text_bytes; ++n) {
        text_slot s;
        std::memcpy(&s, &at(n), sizeof s);
        text.append(s.first.data(), s.first.size()).append(s.rest.data(), s.rest.size());
    }
    text.resize(p.text_bytes);
    words w;
    w.exchange = text.substr(0, p.exchange_bytes);
    w.key = text.substr(p.exchange_bytes);
    return w;
}

std::uint64_t flight_recorder::since_us() const noexcept { return written_ == 0 ? 0 : at(first()).at_us; }

}  // namespace linnet::core
