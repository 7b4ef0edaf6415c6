#include "conf/nearest.hpp"

#include <array>
#include <string>

#include <catch2/catch.hpp>

using portico::conf::nearest;

namespace {
constexpr std::array<std::string_view, 4> known{"listen", "limits", "log_level", "via"};
}

TEST_CASE("a typing mistake finds the word that was meant") {
  CHECK(nearest("listem", known) == "listen");
  CHECK(nearest("lsiten", known) == "listen");
  CHECK(nearest("limit", known) == "limits");
  CHECK(nearest("log-level", known) == "log_level");
  CHECK(nearest("va", known) == "via");
  CHECK(nearest("via", known) == "via");
}

TEST_CASE("a word that is not near any finds none") {
  CHECK_FALSE(nearest("workers", known));
  CHECK_FALSE(nearest("", known));
  CHECK_FALSE(nearest("vi__", known));
  CHECK_FALSE(nearest(std::string(65, 'l'), known));
  CHECK_FALSE(nearest("listen", {}));
}
