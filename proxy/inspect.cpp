#include "proxy/inspect.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "conf/settings.hpp"
#include "proxy/h1/body.hpp"
#include "proxy/h1/head.hpp"
#include "proxy/tap_facts.hpp"
#include "routing/table.hpp"
#include "telemetry/inspect.hpp"
#include "telemetry/tap/tap.hpp"

namespace portico::proxy {

namespace {

constexpr std::size_t most_fields = 1'024;
constexpr std::size_t longest_target = 1'048'576;

/// Cuts bytes as asked.
class Pieces {
 public:
  Pieces(std::string_view bytes, const conf::Split& split)
      : rest_(bytes), split_(split), random_(static_cast<std::minstd_rand::result_type>(split.value)) {}
  /// Empty: there are no more.
  std::string_view next() {
    std::size_t size = rest_.size();
    if (split_.how == conf::Split::How::every) size = static_cast<std::size_t>(split_.value);
    if (split_.how == conf::Split::How::once && !std::exchange(cut_, true))
      size = static_cast<std::size_t>(split_.value);
    // Mostly small, so that every place is met; sometimes large, as reads are.
    if (split_.how == conf::Split::How::random) size = 1 + random_() % (random_() % 4 == 0 ? 4'096 : 16);
    const std::string_view piece = rest_.substr(0, size);
    rest_.remove_prefix(piece.size());
    return piece;
  }

 private:
  std::string_view rest_;
  conf::Split split_;
  std::minstd_rand random_;
  bool cut_ = false;
};

/// Gathers the pieces of a head until it is complete; what came after it in the last piece stays.
class HeadGatherer {
 public:
  explicit HeadGatherer(std::string_view whose) : whose_(whose) {}

  /// The head's bytes, valid until the next call. Throws when the pieces end before it does.
  std::string_view read(Pieces& pieces) {
    bytes_.erase(0, size_);
    size_ = 0;
    h1::HeadScanner scanner;
    for (;;) {
      const h1::HeadScanner::State state =
          bytes_.empty() ? h1::HeadScanner::State::need_more : scanner.scan(bytes_);
      if (state == h1::HeadScanner::State::complete) break;
      const std::string_view piece =
          state == h1::HeadScanner::State::bad ? std::string_view() : pieces.next();
      if (piece.empty())
        throw std::runtime_error(fmt::format(
            "the {} has no complete head: {}", whose_,
            state == h1::HeadScanner::State::bad ? h1::sentence_of(scanner.error()) : "its bytes end in it"));
      bytes_ += piece;
    }
    size_ = scanner.size();
    return std::string_view(bytes_).substr(0, size_);
  }
  [[nodiscard]] std::string_view after() const { return std::string_view(bytes_).substr(size_); }

 private:
  std::string_view whose_;
  std::string bytes_;
  std::size_t size_ = 0;
};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
      throw std::runtime_error("no SHA-256 in this OpenSSL");
  }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

using Show = std::function<void(std::string_view)>;

/// Shows the payload of a body, piece by piece. False when the bytes end, or break the framing, before it
/// does.
bool follow(h1::BodyReader& body, std::string_view first, Pieces& pieces, const Show& show) {
  for (std::string_view piece = first.empty() ? pieces.next() : first; !body.done() && !piece.empty();
       piece = pieces.next()) {
    while (!piece.empty() && !body.done()) {
      const h1::BodyReader::Piece read = body.next(piece);
      if (!read.payload.empty()) show(read.payload);
      if (read.status == h1::BodyReader::Status::error) return false;
      piece.remove_prefix(read.consumed);
    }
  }
  return body.done() || body.framing() == h1::Framing::until_close;
}

void follow_frames(std::string_view first, Pieces& pieces, const Show& show) {
  for (std::string_view piece = first.empty() ? pieces.next() : first; !piece.empty(); piece = pieces.next())
    show(piece);
}

class Inspector {
 public:
  Inspector(std::string_view request, std::string_view response, const conf::Split& split)
      : request_(request), request_pieces_(request, split), response_pieces_(response, split) {}

  std::string run() {
    show_request();
    const telemetry::EndFacts end = show_response();
    tap_.end(end);
    bodies_.response_sha256 = hash_.hex();
    return telemetry::render_inspection(records_, bodies_);
  }

 private:
  void show_request() {
    HeadGatherer gatherer("request");
    const std::string_view head = gatherer.read(request_pieces_);
    h1::HeadFields fields(most_fields);
    h1::RequestHead request;
    if (const h1::HeadError error = h1::parse_request(head, {longest_target, most_fields}, fields, request);
        error != h1::HeadError::none)
      throw std::runtime_error(fmt::format("the request is refused: {}", h1::sentence_of(error)));
    bodies_.request_bytes = request_.size() - head.size();

    const conf::Settings settings = conf::Settings::defaults();
    std::vector<std::string> names;
    names.reserve(settings.upstreams.size());
    for (const conf::UpstreamSettings& upstream : settings.upstreams) names.push_back(upstream.name);
    const routing::RouteTable table(settings.routes, names);
    routing::PathScratch scratch;
    const routing::Decision decision = table.decide(request.target, scratch);
    telemetry::RequestFacts facts = request_facts(request);
    facts.path = decision.path;
    facts.dialect = telemetry::dialect_of(decision.path);
    if (decision.route != nullptr && decision.route->upstream)
      facts.owner = table.upstream_name(*decision.route->upstream);
    to_head_ = request.method == "HEAD";
    websocket_ = request.websocket;
    tap_.request_head(context_, facts);

    if (websocket_) {
      // Frames are frames only once the response has said so.
      frames_ = gatherer.after();
      return;
    }
    h1::BodyReader body(request.framing, request.content_length);
    if (body.done() || follow(body, gatherer.after(), request_pieces_,
                              [this](std::string_view payload) { tap_.request_body(payload); }))
      tap_.request_end();
  }

  telemetry::EndFacts show_response() {
    telemetry::EndFacts end;
    HeadGatherer gatherer("response");
    h1::HeadFields fields(most_fields);
    h1::ResponseHead response;
    do {
      const std::string_view head = gatherer.read(response_pieces_);
      response = {};
      if (const h1::HeadError error = h1::parse_response(head, to_head_, fields, response);
          error != h1::HeadError::none)
        throw std::runtime_error(fmt::format("the response is refused: {}", h1::sentence_of(error)));
    } while (response.status < 200 && response.status != 101);
    end.status = response.status;
    tap_.response_head(response_facts(response));
    if (response.status == 101) {
      follow_frames(frames_, request_pieces_,
                    [this](std::string_view bytes) { tap_.tunnel(true, bytes, 0); });
      follow_frames(gatherer.after(), response_pieces_, [this](std::string_view bytes) {
        note(bytes);
        tap_.tunnel(false, bytes, 0);
      });
      return end;
    }
    h1::BodyReader body(response.framing, response.content_length);
    const bool whole =
        body.done() || follow(body, gatherer.after(), response_pieces_, [this](std::string_view payload) {
          note(payload);
          tap_.response_body(payload);
        });
    if (!whole) end.how = telemetry::Ended::backend_broke_off;
    return end;
  }

  void note(std::string_view payload) {
    bodies_.response_bytes += payload.size();
    hash_.add(payload);
  }

  std::string_view request_;
  Pieces request_pieces_;
  Pieces response_pieces_;
  telemetry::RecordCollection records_;
  telemetry::KeyMarker keys_{telemetry::KeySecret{}};
  telemetry::TapContext context_{records_, keys_};
  telemetry::Tap tap_;
  telemetry::CapturedBodies bodies_;
  Sha256 hash_;
  std::string frames_;
  bool to_head_ = false;
  bool websocket_ = false;
};

}  // namespace

std::string inspect(std::string_view request, std::string_view response, const conf::Split& split) {
  return Inspector(request, response, split).run();
}

}  // namespace portico::proxy
