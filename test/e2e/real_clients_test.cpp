// Programs that everybody has (curl, nghttp, h2load) agree with the real binary on TLS and HTTP/2.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/support/origin.hpp"
#include "test/support/pattern.hpp"
#include "test/support/portico.hpp"
#include "test/support/process.hpp"

using namespace portico::test;

namespace {

constexpr std::size_t mebibyte = 1U << 20;
constexpr std::size_t file_size = 50 * mebibyte;

/// False, and a word about it, where there is no such program.
bool installed(const std::string& program, const std::string& package) {
  if (std::system(fmt::format("command -v {} >/dev/null 2>&1", program).c_str()) == 0) return true;
  WARN("skipped: " << program << " (Debian package " << package << ") is not installed");
  std::cout << "skipped: " << program << '\n';
  return false;
}

/// The program, with what a user's own settings and proxies could change taken away.
std::vector<std::string> curl(const std::vector<std::string>& more) {
  std::vector<std::string> all{"/usr/bin/env",
                               "curl",
                               "--disable",
                               "--silent",
                               "--show-error",
                               "--noproxy",
                               "*",
                               "--max-time",
                               "120",
                               "--write-out",
                               "\n%{http_version} %{response_code} %{num_connects} done\n"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// Of a proxy: what curl needs to find and believe its TLS listener by name.
std::vector<std::string> trust(const Portico& proxy) {
  return {"--cacert", proxy.tls_client().ca_file, "--resolve",
          fmt::format("{}:{}:127.0.0.1", server_name, proxy.tls_address().port())};
}

std::string https(const Portico& proxy, const std::string& path) {
  return fmt::format("https://{}:{}{}", server_name, proxy.tls_address().port(), path);
}

/// Writes `size` bytes of the pattern `seed`, and returns the path.
std::string make_file(const TemporaryFolder& folder, std::uint64_t seed, std::size_t size) {
  const std::string path = folder.file("upload");
  std::ofstream out(path, std::ios::binary);
  for (std::size_t at = 0; at < size; at += mebibyte) out << pattern(seed, mebibyte, at);
  return path;
}

/// Whether the file is `size` bytes of the pattern `seed`, and nothing else.
bool holds(const std::string& path, std::uint64_t seed, std::size_t size) {
  std::ifstream in(path, std::ios::binary);
  Checker checker(seed);
  std::string block(mebibyte, '\0');
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    checker.take({block.data(), static_cast<std::size_t>(in.gcount())});
  }
  return checker.good() && checker.size() == size;
}

/// Takes a body that must be the pattern 2, and answers with the pattern 1; 50 MiB each.
void exchange_files(Connection& connection) {
  while (true) {
    Message head = connection.read_head(Deadline{60s});
    Checker checker(2);
    read_request_body(
        connection, head, [&](std::string_view bytes) { checker.take(bytes); }, 60s);
    connection.send(fmt::format("HTTP/1.1 200 OK\r\nX-Got: {} {}\r\nContent-Length: {}\r\n\r\n",
                                checker.good(), checker.size(), file_size));
    for (std::size_t at = 0; at < file_size; at += mebibyte)
      connection.send(pattern(1, mebibyte, at), Deadline{60s});
  }
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

/// The numbers of a line, in their order.
std::vector<long> numbers(const std::string& line) {
  std::vector<long> found;
  static const std::regex number("[0-9]+");
  for (std::sregex_iterator it(line.begin(), line.end(), number), end; it != end; ++it)
    found.push_back(std::stol(it->str()));
  return found;
}

}  // namespace

TEST_CASE("curl: 50 MiB go up and come down unchanged, whatever is spoken", "[clients]") {
  if (!installed("curl", "curl")) return;
  Origin cpa(exchange_files);
  Portico proxy{{.cpa = cpa.url(), .tls = true, .cleartext_h2 = true}};
  TemporaryFolder folder;
  const std::string upload = make_file(folder, 2, file_size);
  const auto [flag, tls, version] = GENERATE(table<std::string, bool, std::string>({
      {"--http1.1", true, "1.1"},
      {"--http2", true, "2"},
      {"--http2-prior-knowledge", false, "2"},
      {"--http2", false, "1.1"},  // asks for an upgrade to h2c, which nobody has to grant
  }));
  CAPTURE(flag);
  std::vector<std::string> more = trust(proxy);
  more.insert(more.end(), {flag, "--request", "POST", "--upload-file", upload, "--output",
                           folder.file("download"), "--dump-header", folder.file("head"),
                           tls ? https(proxy, "/v1/files") : proxy.address().url() + "/v1/files"});
  Process client({.arguments = curl(more)});
  CHECK(client.wait_for_line("done", Deadline{60s}) == version + " 200 1 done");
  CHECK(client.wait_exit() == 0);
  CHECK(holds(folder.file("download"), 1, file_size));
  std::ostringstream head;
  head << std::ifstream(folder.file("head")).rdbuf();
  CHECK_THAT(head.str(), Catch::Contains(fmt::format(": true {}\r\n", file_size)));
}

TEST_CASE("curl: TLS 1.2 and 1.3 carry both versions of HTTP, and the certificate is good", "[clients]") {
  if (!installed("curl", "curl")) return;
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  const std::string tls = GENERATE("1.2", "1.3");
  const std::string http = GENERATE("1.1", "2");
  std::vector<std::string> more = trust(proxy);
  more.insert(more.end(),
              {"--tlsv" + tls, "--tls-max", tls, "--http" + http, "--verbose", https(proxy, "/v1/models")});
  Process client({.arguments = curl(more)});
  CHECK(client.wait_for_line("done") == http + " 200 1 done");
  CHECK(client.wait_exit() == 0);
  CHECK_THAT(client.output(), Catch::Contains("SSL connection using TLSv" + tls));
  CHECK_THAT(client.output(),
             Catch::Contains("ALPN: server accepted " + std::string(http == "2" ? "h2" : "http/1.1")));
}

TEST_CASE("curl: transfers side by side share one HTTP/2 connection", "[clients]") {
  if (!installed("curl", "curl")) return;
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  std::vector<std::string> more = trust(proxy);
  more.insert(more.end(),
              {"--http2", "--parallel", "--parallel-max", "100", https(proxy, "/v1/files/[1-200]")});
  Process client({.arguments = curl(more)});
  CHECK(client.wait_exit(Deadline{60s}) == 0);
  CHECK(eventually([&] { return count_of(client.output(), " done\n") == 200; }));
  CHECK(count_of(client.output(), "2 200 0 done\n") + count_of(client.output(), "2 200 1 done\n") == 200);
  CHECK(count_of(client.output(), "2 200 1 done\n") == 1);
  CHECK(cpa.requests() == 200);
}

TEST_CASE("nghttp: 30 requests on one connection are answered, and it ends in order", "[clients]") {
  if (!installed("nghttp", "nghttp2-client")) return;
  Origin cpa(Origin::serve(ok("x")));
  Portico proxy{{.cpa = cpa.url(), .tls = true}};
  Process client(
      {.arguments = {"/usr/bin/env", "nghttp", "--no-verify-peer", "--null-out", "--verbose", "--multiply=30",
                     fmt::format("https://127.0.0.1:{}/v1/models", proxy.tls_address().port())}});
  CHECK(client.wait_exit() == 0);
  CHECK(eventually([&] { return count_of(client.output(), ":status: 200") == 30; }));
  CHECK_THAT(client.output(), Catch::Contains("The negotiated protocol: h2"));
  CHECK_THAT(client.output(), Catch::Contains("[SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128]"));
  for (const char* trouble : {"RST_STREAM", "recv GOAWAY"})
    CHECK_THAT(client.output(), !Catch::Contains(trouble));
  CHECK(cpa.requests() == 30);
}

TEST_CASE("h2load: 100 connections with 32 streams each are served without an error", "[clients]") {
  if (!installed("h2load", "nghttp2-client")) return;
  Process sample({.arguments = {PORTICO_BINARY, "sample", "--cpa-listen", "127.0.0.1:0", "--cpamp-listen",
                                "127.0.0.1:0"}});
  const auto line = sample.wait_for_line("sample CPA ");
  REQUIRE(line);
  Portico proxy{
      {.cpa = "http://" + line->substr(line->rfind(' ') + 1), .settings = R"({"workers": 2})", .tls = true}};
  const long count = sanitized() ? 6'400 : 32'000;
  Process client({.arguments = {"/usr/bin/env", "h2load", fmt::format("--requests={}", count),
                                "--clients=100", "--max-concurrent-streams=32", "--threads=1",
                                fmt::format("https://127.0.0.1:{}/healthz", proxy.tls_address().port())}});
  REQUIRE(client.wait_exit(Deadline{60s}) == 0);
  const auto requests = client.wait_for_line("requests: ");
  const auto codes = client.wait_for_line("status codes: ");
  REQUIRE(requests);
  REQUIRE(codes);
  // total, started, done, succeeded, failed, errored, timeout
  CHECK(numbers(*requests) == std::vector<long>{count, count, count, count, 0, 0, 0});
  // 2xx, 3xx, 4xx, 5xx; each number has the digit of its class behind it
  CHECK(numbers(*codes) == std::vector<long>{count, 2, 0, 3, 0, 4, 0, 5});
  CHECK_THAT(client.output(), Catch::Contains("Application protocol: h2"));
  CHECK(eventually([&] {
    return proxy.metric("portico_exchanges_ended_total", {R"(how="complete")"}) >= static_cast<double>(count);
  }));
  CHECK(eventually([&] { return proxy.metric("portico_streams") == 0; }));
  CHECK(proxy.metric("portico_exchanges_ended_total") == static_cast<double>(count));
}
