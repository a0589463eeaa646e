#include "bench/load/http_words.hpp"

#include "protocol/http/base64.hpp"
#include "protocol/http/percent.hpp"

#include <algorithm>

namespace linnet::load {
namespace {

std::string encoded(std::string_view text) {
    std::string out;
    http::append_percent_encoded(out, text);
    return out;
}

std::string with_name(std::string path, std::string_view name) {
    if (const std::size_t at = path.find("%s"); at != path.npos)
        path.replace(at, 2, encoded(name));
    return path;
}

// A topic's levels are the path's segments.
std::string topic_path(const broker_uri& uri, std::string_view topic) {
    std::string path = path_of("/v1", {uri.vhost, "t"});
    for (;;) {
        const std::size_t slash = std::min(topic.find('/'), topic.size());
        path += '/' + encoded(topic.substr(0, slash));
        if (slash == topic.size())
            return path;
        topic.remove_prefix(slash + 1);
    }
}

}  // namespace

std::string host_of(const broker_uri& uri) {
    const bool is_ipv6 = uri.host.find(':') != uri.host.npos;
    return (is_ipv6 ? '[' + uri.host + ']' : uri.host) + ':' + uri.port;
}

std::string authorization_of(const broker_uri& uri) {
    std::string out = "Basic ";
    http::append_base64(out, uri.user + ':' + uri.password);
    return out;
}

std::string path_of(std::string_view prefix, std::initializer_list<std::string_view> segments) {
    std::string path{prefix};
    for (const std::string_view each : segments)
        path += '/' + encoded(each);
    return path;
}

std::string publish_target(const options& o, const broker_uri& uri, const plan& p, std::string_view key) {
    if (o.post_to.starts_with('/'))
        return with_name(o.post_to, key);
    if (o.post_to == "rabbitmq") {
        const std::string_view exchange = p.exchange.empty() ? "amq.default" : std::string_view{p.exchange};
        return path_of("/api/exchanges", {uri.vhost, exchange, "publish"});
    }
    if (o.reads_topics())
        return topic_path(uri, key);
    if (p.exchange.empty())
        return path_of("/v1", {uri.vhost, "q", key});
    return key.empty() ? path_of("/v1", {uri.vhost, "x", p.exchange})
                       : path_of("/v1", {uri.vhost, "x", p.exchange, key});
}

std::string events_target(const options& o, const broker_uri& uri, std::string_view name) {
    if (!o.events_at.empty())
        return with_name(o.events_at, name);
    if (o.reads_topics())
        return path_of("/v1", {uri.vhost, "events"}) + "?topic=" + encoded(name);
    return path_of("/v1", {uri.vhost, "q", name, "events"});
}

}  // namespace linnet::load
