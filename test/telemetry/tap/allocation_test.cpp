// In steady state a tap asks the allocator for nothing, and an idle stream holds little.

#include <cstdlib>
#include <new>
#include <string>

#include <catch2/catch.hpp>

#include "telemetry/tap/tap.hpp"

// The sanitizers bring an operator new of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PORTICO_COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define PORTICO_COUNTS_ALLOCATIONS 0
#else
#define PORTICO_COUNTS_ALLOCATIONS 1
#endif
#else
#define PORTICO_COUNTS_ALLOCATIONS 1
#endif

#if PORTICO_COUNTS_ALLOCATIONS

namespace {

thread_local std::size_t allocations = 0;
thread_local std::size_t allocated = 0;

void* counted(std::size_t size) noexcept {
  ++allocations;
  allocated += size;
  return std::malloc(size);
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* block = counted(size)) return block;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept { return counted(size); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t /*size*/) noexcept { std::free(block); }

namespace {

using namespace portico::telemetry;

class Nowhere final : public RecordSink {
 public:
  void push(const Record& record) noexcept override { bytes += record.texts().size(); }
  std::size_t bytes = 0;
};

const std::string request =
    R"({"model":"gpt-5.4","stream":true,"messages":[{"role":"user","content":"a \"b\" c"}]})";
const std::string chunk =
    "data: {\"id\":\"c-1\",\"model\":\"gpt-5.4\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t\"},"
    "\"finish_reason\":null}]}\n\n";
const std::string last =
    "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"
    "\"completion_tokens\":2,\"total_tokens\":3}}\n\ndata: [DONE]\n\n";

void begin(Tap& tap, TapContext& context) {
  RequestFacts facts;
  facts.method = "POST";
  facts.target = facts.path = "/v1/chat/completions";
  facts.dialect = dialect_of(facts.path);
  facts.request_id = "0123456789abcdef0123456789abcdef";
  facts.client = "192.0.2.1";
  facts.user_agent = "OpenAI/JS 6.49.0";
  facts.has_body = true;
  tap.request_head(context, facts);
  tap.request_body(request);
  tap.request_end();
  ResponseFacts response;
  response.status = 200;
  response.content_type = "text/event-stream";
  tap.response_head(response);
  for (int i = 0; i < 3; ++i) tap.response_body(chunk);
  // A piece that ends inside a wanted text.
  tap.response_body(std::string_view(chunk).substr(0, 32));
  tap.response_body(std::string_view(chunk).substr(32));
}

}  // namespace

TEST_CASE("an exchange in steady state allocates nothing") {
  Nowhere sink;
  KeyMarker keys(KeySecret{});
  TapContext context{sink, keys};
  const auto exchange = [&context] {
    Tap tap;
    begin(tap, context);
    tap.response_body(last);
    tap.end({});
  };
  exchange();
  const std::size_t before = allocations;
  for (int i = 0; i < 100; ++i) exchange();
  CHECK(allocations == before);
  CHECK(sink.bytes > 0);
}

TEST_CASE("an open stream holds no more than two kilobytes") {
  Nowhere sink;
  KeyMarker keys(KeySecret{});
  TapContext context{sink, keys};
  // What the first takes for a moment, the second finds on the free lists.
  Tap first;
  begin(first, context);
  const std::size_t before = allocated;
  Tap second;
  begin(second, context);
  CHECK(allocated - before <= 2'048);
}

#endif
