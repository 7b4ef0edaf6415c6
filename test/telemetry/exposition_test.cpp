#include "telemetry/exposition.hpp"

#include <catch2/catch.hpp>

using namespace portico::telemetry;

TEST_CASE("OpenMetrics is chosen where Accept names it and likes it no less than text") {
  const auto chosen = [](std::string_view accept) {
    return negotiate_metrics(accept) == MetricsFormat::open_metrics;
  };
  CHECK(chosen("application/openmetrics-text"));
  CHECK(chosen("application/openmetrics-text; version=1.0.0; charset=utf-8"));
  CHECK(chosen("Application/OpenMetrics-Text;version=\"1.0.0\""));
  CHECK(chosen(
      "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"));
  CHECK(
      chosen("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/"
             "plain;version=0.0.4;q=0.3"));

  CHECK_FALSE(chosen(""));
  CHECK_FALSE(chosen("*/*"));
  CHECK_FALSE(chosen("text/plain"));
  CHECK_FALSE(chosen("text/html,application/xhtml+xml,*/*;q=0.8"));
  CHECK_FALSE(chosen("application/openmetrics-text;q=0"));
  CHECK_FALSE(chosen("application/openmetrics-text;q=nonsense"));
  CHECK_FALSE(chosen("application/openmetrics-text;version=0.0.1"));
  CHECK_FALSE(chosen("application/openmetrics-text;q=0.2, text/plain"));
  CHECK_FALSE(chosen(",;,=;q,,"));
}

TEST_CASE("label values and help texts are escaped") {
  const MetricHead head{
      "portico_x", MetricType::gauge, "", "A \"quoted\" back\\slash.\nNext.", {"path", "who"}};
  MetricsWriter text(MetricsFormat::prometheus_text);
  text.begin(head);
  text.sample({"a\"b\\c\nd\xff", "w"}, std::int64_t{-3});
  CHECK(text.finish() ==
        "# HELP portico_x A \"quoted\" back\\\\slash.\\nNext.\n# TYPE portico_x gauge\n"
        "portico_x{path=\"a\\\"b\\\\c\\nd?\",who=\"w\"} -3\n");

  MetricsWriter open(MetricsFormat::open_metrics);
  open.begin(head);
  CHECK(open.finish() ==
        "# HELP portico_x A \\\"quoted\\\" back\\\\slash.\\nNext.\n# TYPE portico_x gauge\n# EOF\n");
}

TEST_CASE("a histogram's buckets are cumulated and end with the count") {
  HistogramTotals totals;
  totals.buckets[0] = 2;
  totals.buckets[3] = 1;
  totals.buckets.back() = 4;
  totals.sum_us = 1'500'000;
  const MetricHead head{"x_seconds", MetricType::histogram, "seconds", "H.", {"a"}};
  MetricsWriter out(MetricsFormat::open_metrics);
  out.begin(head);
  out.histogram({"b"}, totals);
  const std::string text = out.finish();
  CHECK(text.find("# UNIT x_seconds seconds\n") != std::string::npos);
  CHECK(text.find("x_seconds_bucket{a=\"b\",le=\"0.0001\"} 2\n") != std::string::npos);
  CHECK(text.find("x_seconds_bucket{a=\"b\",le=\"0.0005\"} 2\n") != std::string::npos);
  CHECK(text.find("x_seconds_bucket{a=\"b\",le=\"0.001\"} 3\n") != std::string::npos);
  CHECK(text.find("x_seconds_bucket{a=\"b\",le=\"1.0\"} 3\n") != std::string::npos);
  CHECK(text.find("x_seconds_bucket{a=\"b\",le=\"+Inf\"} 7\n") != std::string::npos);
  CHECK(text.find("x_seconds_sum{a=\"b\"} 1.5\n") != std::string::npos);
  CHECK(text.find("x_seconds_count{a=\"b\"} 7\n") != std::string::npos);
}
