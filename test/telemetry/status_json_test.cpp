#include "telemetry/status_json.hpp"

#include <unistd.h>

#include <chrono>

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace portico::telemetry;
namespace json = boost::json;

TEST_CASE("status joins what the control thread published with what the workers counted") {
  Registry registry(2);
  const EndpointLabel endpoint = registry.endpoint("cpa", "http://cpa:8317");
  const ListenerLabel listener = registry.listener("0.0.0.0:8080");
  for (std::size_t w = 0; w < 2; ++w) {
    registry.worker(w).endpoint(endpoint).idle.add(3);
    registry.worker(w).endpoint(endpoint).up.set(0);
    registry.worker(w).listener(listener).connections.add(5);
    registry.worker(w).streams.add();
  }
  ProcessState state;
  state.ready = true;
  state.started = std::chrono::system_clock::time_point{std::chrono::milliseconds(1'794'150'245'000)};
  state.loaded = state.started;
  state.reloads = 1;
  state.config_file = "/etc/portico\xff.json";
  state.workers = 2;
  state.listeners = {"0.0.0.0:8080"};
  state.endpoints = {{"cpa", "http://cpa:8317", {"192.0.2.1", "192.0.2.2"}},
                     {"cpamp", "http://cpamp:18317", {}},
                     {"cpa", "http://cpa2:8317", {}}};
  state.certificates = {{"/etc/tls/a.pem",
                         {"a.example", "192.0.2.1"},
                         std::chrono::sys_seconds(std::chrono::seconds(253'402'300'799)),
                         "EC P-256"}};

  const json::value got =
      json::parse(render_status(registry, state, state.started + std::chrono::milliseconds(1500)));
  json::value expected = json::parse(R"({
    "version": "", "pid": 0, "started": "2026-11-08T15:04:05.000Z", "uptime_seconds": 1,
    "ready": true, "draining": false, "workers": 2, "streams": 2,
    "config": {"file": "/etc/portico?.json", "loaded": "2026-11-08T15:04:05.000Z", "reloads": 1,
               "last_reload_ok": true},
    "listeners": [{"address": "0.0.0.0:8080", "connections": 10, "accepted": 0, "refused": 0}],
    "upstreams": [
      {"name": "cpa", "endpoints": [
        {"endpoint": "http://cpa:8317", "addresses": ["192.0.2.1", "192.0.2.2"], "up": false,
         "connections": {"active": 0, "idle": 6, "connecting": 0},
         "connects": 0, "connect_failures": 0, "reused": 0, "retries": 0},
        {"endpoint": "http://cpa2:8317", "addresses": [], "up": true,
         "connections": {"active": 0, "idle": 0, "connecting": 0},
         "connects": 0, "connect_failures": 0, "reused": 0, "retries": 0}]},
      {"name": "cpamp", "endpoints": [
        {"endpoint": "http://cpamp:18317", "addresses": [], "up": true,
         "connections": {"active": 0, "idle": 0, "connecting": 0},
         "connects": 0, "connect_failures": 0, "reused": 0, "retries": 0}]}],
    "certificates": [{"file": "/etc/tls/a.pem", "names": ["a.example", "192.0.2.1"],
                      "not_after": "9999-12-31T23:59:59.000Z", "key_type": "EC P-256"}],
    "key_guard": {"braked": 0, "addresses": []}})");
  expected.as_object()["version"] = PORTICO_VERSION;
  expected.as_object()["pid"] = ::getpid();
  CHECK(got == expected);
}

TEST_CASE("status names the client addresses that are braked for guessing keys, and says until when") {
  Registry registry(1);
  std::size_t asked_for = 0;
  registry.set_braked([&](std::size_t most) {
    asked_for = most;
    return BrakedAddresses{2,
                           {{"2001:db8::/64", std::chrono::milliseconds(90'000), 30},
                            {"192.0.2.1", std::chrono::milliseconds(500), 20}}};
  });
  const std::chrono::system_clock::time_point now{std::chrono::milliseconds(1'794'150'245'000)};
  const json::value got = json::parse(render_status(registry, ProcessState{}, now));
  CHECK(got.at("key_guard") == json::parse(R"({"braked": 2, "addresses": [
    {"address": "2001:db8::/64", "until": "2026-11-08T15:05:35.000Z", "failures": 30},
    {"address": "192.0.2.1", "until": "2026-11-08T15:04:05.500Z", "failures": 20}]})"));
  CHECK(asked_for == max_braked_shown);
}

TEST_CASE("what has not happened is null, and a clock set back gives no negative uptime") {
  const Registry registry(1);
  ProcessState state;
  json::value got = json::parse(render_status(registry, state, std::chrono::system_clock::now()));
  CHECK(got.at("started").is_null());
  CHECK(got.at("config").at("file").is_null());
  CHECK(got.at("config").at("loaded").is_null());
  CHECK(got.at("ready") == false);

  state.started = std::chrono::system_clock::now();
  got = json::parse(render_status(registry, state, state.started - std::chrono::hours(1)));
  CHECK(got.at("uptime_seconds") == 0);
}

TEST_CASE("a draining process is not ready") {
  const Registry registry(1);
  ProcessState state;
  state.ready = true;
  state.draining = true;
  const json::value got = json::parse(render_status(registry, state, std::chrono::system_clock::now()));
  CHECK(got.at("ready") == false);
  CHECK(got.at("draining") == true);
}

TEST_CASE("routes are listed as they are tried: exact ones, then longer prefixes first") {
  ProcessState state;
  state.routes = {{"/", "prefix", "/", "upstream", "cpa"},
                  {"/v1/", "prefix", "/v1/", "upstream", "cpa"},
                  {"= /", "exact", "/", "redirect", "/management.html"},
                  {"/v0/management/", "prefix", "/v0/management/", "upstream", "cpamp"}};
  const json::value got = json::parse(render_routes(state));
  CHECK(got == json::parse(R"({"routes":[
    {"label":"= /","match":"exact","path":"/","action":"redirect","target":"/management.html"},
    {"label":"/v0/management/","match":"prefix","path":"/v0/management/","action":"upstream","target":"cpamp"},
    {"label":"/v1/","match":"prefix","path":"/v1/","action":"upstream","target":"cpa"},
    {"label":"/","match":"prefix","path":"/","action":"upstream","target":"cpa"}]})"));
}
