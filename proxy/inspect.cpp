#include "proxy/inspect.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <stdexcept>

#include "proxy/h1/body.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/tap_facts.hpp"
#include "telemetry/tap/tap.hpp"

namespace portico::proxy {
namespace {

constexpr std::size_t max_fields = 1'000;

/// Cuts bytes into pieces, from the front.
class Cutter {
 public:
  Cutter(std::string_view bytes, const Cuts& cuts) : rest_(bytes), cuts_(cuts), random_(cuts.seed) {}
  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }
  std::string_view next() {
    std::size_t size = cuts_.size == 0 ? rest_.size() : cuts_.size;
    if (cuts_.at_random) size = 1 + random_() % 64;
    if (std::size_t first = std::exchange(cuts_.first, 0); first != 0) size = first;
    const std::string_view piece = rest_.substr(0, size);
    rest_.remove_prefix(piece.size());
    return piece;
  }

 private:
  std::string_view rest_;
  Cuts cuts_;
  std::minstd_rand random_;
};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
      throw std::runtime_error("there is no SHA-256 in this machine's OpenSSL");
  }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    std::array<unsigned char, 32> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    std::string out;
    for (const unsigned char byte : digest) out += fmt::format("{:02x}", byte);
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// The size of the head at the front of `bytes`.
std::size_t head_size(std::string_view bytes, std::string_view whose) {
  h1::HeadScanner scanner;
  if (scanner.scan(bytes) != h1::HeadScanner::State::complete)
    throw std::runtime_error(fmt::format("the {} has no complete head", whose));
  return scanner.size();
}

/// Follows a body's framing and hands on its payload; true when its end was there.
template <class Take>
bool read_body(std::string_view bytes, h1::BodyReader reader, const Cuts& cuts, Take take) {
  Cutter cutter(bytes, cuts);
  while (!cutter.done() && !reader.done()) {
    std::string_view piece = cutter.next();
    while (!piece.empty() && !reader.done()) {
      const h1::BodyReader::Piece part = reader.next(piece);
      if (!part.payload.empty()) take(part.payload);
      if (part.status == h1::BodyReader::Status::error) return false;
      piece.remove_prefix(part.consumed);
    }
  }
  return reader.done() || reader.framing() == h1::Framing::until_close;
}

/// The final response's head, interim ones passed over; `response` is left behind it.
h1::ResponseHead read_response_head(std::string_view& response, bool to_head, h1::HeadFields& fields) {
  for (;;) {
    const std::size_t size = head_size(response, "response");
    h1::ResponseHead head;
    const h1::HeadError error = h1::parse_response(response.substr(0, size), to_head, fields, head);
    if (error != h1::HeadError::none)
      throw std::runtime_error(fmt::format("the response's head: {}", h1::sentence_of(error)));
    response.remove_prefix(size);
    if (head.status >= 200 || head.status == 101) return head;
  }
}

Cuts read_split(std::string_view split) {
  Cuts cuts;
  if (split.empty()) return cuts;
  constexpr std::string_view random = "random:";
  cuts.at_random = split.starts_with(random);
  if (cuts.at_random) split.remove_prefix(random.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(split.data(), split.data() + split.size(), number);
  if (error != std::errc() || end != split.data() + split.size() || (number == 0 && !cuts.at_random))
    throw std::runtime_error("--split: expected a number of bytes, or random:SEED");
  (cuts.at_random ? cuts.seed : cuts.size) = number;
  return cuts;
}

std::string read_file(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  if (!file) throw std::runtime_error(fmt::format("{} can't be read", name));
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

void inspect(std::string_view request, std::string_view response, const Cuts& cuts,
             const routing::RouteTable& table, Inspected& out) {
  const std::size_t size = head_size(request, "request");
  h1::HeadFields request_fields(max_fields);
  h1::RequestHead head;
  const h1::HeadError error =
      h1::parse_request(request.substr(0, size), {SIZE_MAX, max_fields}, request_fields, head);
  if (error != h1::HeadError::none)
    throw std::runtime_error(fmt::format("the request's head: {}", h1::sentence_of(error)));
  request.remove_prefix(size);
  out.bytes.request_body = request.size();

  routing::PathScratch scratch;
  const routing::Decision decision = table.decide(head.target, scratch);
  telemetry::RequestFacts facts = request_facts(head);
  facts.path = decision.path;
  if (decision.route != nullptr && decision.route->upstream)
    facts.owner = table.upstream_name(*decision.route->upstream);

  // Nothing is stored, so any secret will do for the keys.
  telemetry::KeyMarker keys({});
  telemetry::TapContext context{out.records, keys};
  telemetry::Tap tap;
  telemetry::EndFacts end;
  Sha256 digest;
  const auto count = [&](std::string_view payload) {
    digest.add(payload);
    out.bytes.response_body += payload.size();
  };
  tap.request_head(context, facts);
  if (!head.websocket) {
    const h1::BodyReader body(head.framing, head.content_length);
    if (read_body(request, body, cuts, [&](std::string_view payload) { tap.request_body(payload); }))
      tap.request_end();
  }

  h1::HeadFields response_fields(max_fields);
  const h1::ResponseHead answer = read_response_head(response, head.method == "HEAD", response_fields);
  tap.response_head(response_facts(answer));
  if (answer.status == 101) {
    // The client's frames first: a tap must not depend on how far one side is ahead.
    for (Cutter cutter(request, cuts); !cutter.done();) tap.tunnel(true, cutter.next(), 0);
    for (Cutter cutter(response, cuts); !cutter.done();) {
      const std::string_view piece = cutter.next();
      count(piece);
      tap.tunnel(false, piece, 0);
    }
  } else {
    const h1::BodyReader body(answer.framing, answer.content_length);
    const bool whole = read_body(response, body, cuts, [&](std::string_view payload) {
      count(payload);
      tap.response_body(payload);
    });
    if (!whole) end.how = telemetry::Ended::backend_broke_off;
  }
  end.status = answer.status;
  end.how = tap.settled(end.how);
  tap.end(end);
  out.bytes.response_body_sha256 = digest.hex();
}

std::string inspect_files(const std::string& request_file, const std::string& response_file,
                          std::string_view split, const routing::RouteTable& table) {
  const Cuts cuts = read_split(split);
  Inspected out;
  inspect(read_file(request_file), read_file(response_file), cuts, table, out);
  return telemetry::render_inspection(out.records.records(), out.bytes);
}

}  // namespace portico::proxy
