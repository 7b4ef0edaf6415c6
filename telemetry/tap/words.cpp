#include "telemetry/tap/words.hpp"

namespace portico::telemetry {

std::string_view name_of(Ended ended) noexcept {
  switch (ended) {
    case Ended::complete:
      return "complete";
    case Ended::client_gone:
      return "client_gone";
    case Ended::backend_broke_off:
      return "backend_broke_off";
    case Ended::timeout:
      return "timeout";
    case Ended::refused:
      return "refused";
  }
  return "";
}

std::string_view name_of(Operation operation) noexcept {
  switch (operation) {
    case Operation::generate:
      return "generate";
    case Operation::compact:
      return "compact";
    case Operation::count_tokens:
      return "count_tokens";
    case Operation::embed:
      return "embed";
    case Operation::list_models:
      return "list_models";
    case Operation::other:
      return "other";
  }
  return "";
}

std::string_view name_of(ResponseKind kind) noexcept {
  switch (kind) {
    case ResponseKind::empty:
      return "empty";
    case ResponseKind::json:
      return "json";
    case ResponseKind::sse:
      return "sse";
    case ResponseKind::json_array:
      return "json-array";
    case ResponseKind::websocket:
      return "websocket";
    case ResponseKind::text:
      return "text";
  }
  return "";
}

std::string_view name_of(Coding coding) noexcept {
  switch (coding) {
    case Coding::identity:
      return "identity";
    case Coding::gzip:
      return "gzip";
    case Coding::deflate:
      return "deflate";
    case Coding::br:
      return "br";
    case Coding::zstd:
      return "zstd";
    case Coding::other:
      return "other";
  }
  return "";
}

std::string_view name_of(UsageQuality quality) noexcept {
  switch (quality) {
    case UsageQuality::none:
      return "none";
    case UsageQuality::complete:
      return "complete";
    case UsageQuality::inconsistent:
      return "inconsistent";
    case UsageQuality::unclassified:
      return "unclassified";
    case UsageQuality::partial:
      return "partial";
    case UsageQuality::estimated:
      return "estimated";
  }
  return "";
}

std::string_view name_of(TokenKind kind) noexcept {
  switch (kind) {
    case TokenKind::input:
      return "input";
    case TokenKind::cache_read:
      return "cache_read";
    case TokenKind::cache_creation:
      return "cache_creation";
    case TokenKind::output:
      return "output";
    case TokenKind::reasoning:
      return "reasoning";
    case TokenKind::unclassified:
      return "unclassified";
  }
  return "";
}

std::string_view name_of(RecordKind kind) noexcept {
  switch (kind) {
    case RecordKind::exchange:
      return "exchange";
    case RecordKind::turn:
      return "turn";
    case RecordKind::connection:
      return "connection";
  }
  return "";
}

std::string_view name_of(Category category) noexcept {
  switch (category) {
    case Category::auth_method:
      return "auth_method";
    case Category::client_key:
      return "client_key";
    case Category::model_name:
      return "model_name";
    case Category::base_url:
      return "base_url";
    case Category::auth_binding:
      return "auth_binding";
    case Category::quota:
      return "quota";
    case Category::upstream_outage:
      return "upstream_outage";
    case Category::client_request:
      return "client_request";
    case Category::network:
      return "network";
    case Category::timeout:
      return "timeout";
    case Category::client_cancelled:
      return "client_cancelled";
    case Category::limit:
      return "limit";
    case Category::unknown:
      return "unknown";
  }
  return "";
}

std::string_view name_of(FaultField field) noexcept {
  switch (field) {
    case FaultField::none:
      return "none";
    case FaultField::base_url:
      return "base_url";
    case FaultField::auth_method:
      return "auth_method";
    case FaultField::model_names:
      return "model_names";
    case FaultField::auth_binding:
      return "auth_binding";
  }
  return "";
}

std::string_view name_of(Confidence confidence) noexcept {
  switch (confidence) {
    case Confidence::low:
      return "low";
    case Confidence::medium:
      return "medium";
    case Confidence::high:
      return "high";
  }
  return "";
}

std::string_view name_of(Timer timer) noexcept {
  switch (timer) {
    case Timer::none:
      return "";
    case Timer::request_head:
      return "timeouts.request_head";
    case Timer::request_body:
      return "timeouts.request_body";
    case Timer::connect:
      return "timeouts.connect";
    case Timer::response_head:
      return "timeouts.response_head";
    case Timer::response_body:
      return "timeouts.response_body";
    case Timer::websocket_idle:
      return "timeouts.websocket_idle";
    case Timer::client_write:
      return "timeouts.client_write";
  }
  return "";
}

}  // namespace portico::telemetry
