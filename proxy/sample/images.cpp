// Images: one object, or a stream of partial pictures and a completed one that carries the usage.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "proxy/sample/dialects.hpp"

namespace portico::sample {
namespace json = boost::json;

namespace {

// A PNG of one grey pixel.
constexpr std::string_view picture =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

class ImagesWriter final : public Writer {
 public:
  explicit ImagesWriter(Answer answer) : answer_(std::move(answer)) {}

  std::vector<Event> opening() override { return {}; }
  Event text(std::string_view) override {
    return event({{"type", "image_generation.partial_image"},
                  {"b64_json", picture},
                  {"partial_image_index", partial_++},
                  {"output_format", "png"}});
  }
  std::vector<Event> closing() override {
    json::object out{{"type", "image_generation.completed"}, {"b64_json", picture}, {"output_format", "png"}};
    if (answer_.usage) out["usage"] = usage();
    std::vector<Event> events{event(std::move(out))};
    if (answer_.usage) events.back().usage = answer_.tokens;
    return events;
  }
  std::string whole(std::string_view) override {
    json::object out{
        {"created", answer_.created}, {"data", {{{"b64_json", picture}}}}, {"output_format", "png"}};
    if (answer_.usage) out["usage"] = usage();
    return json::serialize(out);
  }

 private:
  static Event event(json::object fields) {
    std::string name(fields.at("type").as_string());
    return {std::move(name), json::serialize(fields)};
  }
  // The usage of images has no place for cached or reasoning tokens: the caller gives none.
  [[nodiscard]] json::object usage() const {
    const Tokens& tokens = answer_.tokens;
    return {{"input_tokens", tokens.input},
            {"input_tokens_details", {{"text_tokens", tokens.input}, {"image_tokens", 0}}},
            {"output_tokens", tokens.output},
            {"total_tokens", tokens.total()}};
  }

  Answer answer_;
  int partial_ = 0;
};

}  // namespace

std::unique_ptr<Writer> make_images_writer(Answer answer) {
  return std::make_unique<ImagesWriter>(std::move(answer));
}

}  // namespace portico::sample
