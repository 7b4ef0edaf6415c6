#include "routing/readers.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace portico::routing;

namespace {

std::string decoded(std::string_view path, Decoding decoding) {
  std::string out;
  decode(path, decoding, out);
  return out;
}

std::string cleaned(std::string_view path, Cleaning cleaning) {
  std::string out;
  clean(path, cleaning, out);
  return out;
}

}  // namespace

TEST_CASE("each decoding goes exactly as far as its name says", "[readers]") {
  struct Row {
    std::string_view path, once, twice, keep_slashes;
  };
  const Row row = GENERATE(
      Row{"/a%20b", "/a b", "/a b", "/a b"}, Row{"/a%2Fb%2fc", "/a/b/c", "/a/b/c", "/a%2Fb%2fc"},
      Row{"/%252e%252E", "/%2e%2E", "/..", "/%2e%2E"}, Row{"/%25252f", "/%252f", "/%2f", "/%252f"},
      Row{"/100%25", "/100%", "/100%", "/100%"}, Row{"/%C3%a4", "/\xc3\xa4", "/\xc3\xa4", "/\xc3\xa4"},
      Row{"/plain", "/plain", "/plain", "/plain"});
  CHECK(decoded(row.path, Decoding::none) == row.path);
  CHECK(decoded(row.path, Decoding::once) == row.once);
  CHECK(decoded(row.path, Decoding::twice) == row.twice);
  CHECK(decoded(row.path, Decoding::keep_slashes) == row.keep_slashes);
}

TEST_CASE("an escape without two hexadecimal digits stays as it is", "[readers]") {
  const std::string path = GENERATE(values<std::string>({"/%", "/%4", "/%zz", "/%4g", "/%g4", "/a%"}));
  CHECK(decoded(path, Decoding::once) == path);
}

TEST_CASE("the two cleanings differ only about the parent of an empty segment", "[readers]") {
  struct Row {
    std::string_view path, merge_then_dots, dots_then_merge;
  };
  const Row row = GENERATE(
      Row{"/", "/", "/"}, Row{"//", "/", "/"}, Row{"/a/b", "/a/b", "/a/b"}, Row{"/a//b", "/a/b", "/a/b"},
      Row{"/a/./b", "/a/b", "/a/b"}, Row{"/a/../b", "/b", "/b"}, Row{"/v1/..", "/", "/"},
      Row{"/v1/.", "/v1/", "/v1/"}, Row{"/v1/../", "/", "/"}, Row{"/a/b/..", "/a/", "/a/"},
      Row{"/..", "/", "/"}, Row{"/../..//x", "/x", "/x"}, Row{"/a/b/c/./../../g", "/a/g", "/a/g"},
      Row{"/a///", "/a/", "/a/"}, Row{"/...", "/...", "/..."}, Row{"/.a/..b/c.", "/.a/..b/c.", "/.a/..b/c."},
      Row{"/a//..", "/", "/a/"}, Row{"/v0//../management/y", "/management/y", "/v0/management/y"},
      Row{"/a//../..", "/", "/"});
  CAPTURE(row.path);
  CHECK(cleaned(row.path, Cleaning::none) == row.path);
  CHECK(cleaned(row.path, Cleaning::merge_then_dots) == row.merge_then_dots);
  CHECK(cleaned(row.path, Cleaning::dots_then_merge) == row.dots_then_merge);
}

TEST_CASE("a path that cannot need cleaning is one that cleaning does not change", "[readers]") {
  CHECK_FALSE(may_need_cleaning("/"));
  CHECK_FALSE(may_need_cleaning("/v1/a.b/c..d/"));
  CHECK(may_need_cleaning("//"));
  CHECK(may_need_cleaning("/a/."));
  CHECK(may_need_cleaning("/a//b"));
}
