#include "server/query/filter.h"

#include <gtest/gtest.h>

#include <string>

#include "policy/base/bytes.h"
#include "policy/base/limits.h"

namespace weighmaster::server::query {
namespace {

// A tree as a text with all its brackets, so that a test can say what was read.
std::string Write(const Filter& filter) {
  if (filter.kind == Filter::Kind::kTerm) {
    constexpr std::string_view kSigns[] = {"=", "<", "<=", ">", ">=", "^", "$", ":", "?"};
    const Term& term = filter.term;
    std::string text(term.field->name);
    text += kSigns[static_cast<std::size_t>(term.comparison)];
    if (term.comparison == Comparison::kPresent) return text;
    const auto* const bytes = std::get_if<std::string>(&term.value);
    if (bytes == nullptr) return text + std::to_string(std::get<std::int64_t>(term.value));
    return text +
           (term.field->type == FieldType::kText ? *bytes : base::HexEncode(base::AsBytes(*bytes)));
  }
  std::string text = filter.kind == Filter::Kind::kNot ? "not(" : "(";
  for (std::size_t i = 0; i < filter.parts.size(); ++i) {
    if (i > 0) text += filter.kind == Filter::Kind::kAll ? " and " : " or ";
    text += Write(filter.parts[i]);
  }
  return text + ")";
}

std::string Read(const List& list, std::string_view text) {
  const auto filter = ParseFilter(list, text);
  if (!filter.has_value()) return filter.error().message();
  return filter->has_value() ? Write(**filter) : "";
}

TEST(Filter, OfBlanksIsNone) {
  EXPECT_EQ(Read(Endpoints(), ""), "");
  EXPECT_EQ(Read(Endpoints(), " \t\n"), "");
}

TEST(Filter, HasOrBindMoreThanAnd) {
  EXPECT_EQ(Read(Endpoints(), "os = linux AND state = active OR state = revoked AND denied > 0"),
            "(os=linux and (state=1 or state=2) and denied>0)");
  EXPECT_EQ(Read(Endpoints(), "(os = linux AND denied > 0) OR NOT -(warned>=2 AND os!=mac)"),
            "((os=linux and denied>0) or not(not((warned>=2 and not(os=mac)))))");
}

TEST(Filter, ReadsTextsWithStarsAndQuotes) {
  EXPECT_EQ(Read(Sightings(), "path=\"/home/*\""), "path^/home/");
  EXPECT_EQ(Read(Sightings(), "path=*.gguf"), "path$.gguf");
  EXPECT_EQ(Read(Sightings(), "path='*models*'"), "path:models");
  EXPECT_EQ(Read(Sightings(), "path:models"), "path:models");
  EXPECT_EQ(Read(Sightings(), "license:*"), "license?");
  EXPECT_EQ(Read(Sightings(), R"(name = "a \"b\" \* c")"), "name=a \"b\" * c");
  EXPECT_EQ(Read(Sightings(), "name = \"\""), "name=");
}

TEST(Filter, ReadsEveryTypeOfValue) {
  EXPECT_EQ(Read(Sightings(), "size>2GiB"), "size>2147483648");
  EXPECT_EQ(Read(Sightings(), "present"), "present=1");
  EXPECT_EQ(Read(Sightings(), "present = false"), "present=0");
  EXPECT_EQ(Read(Sightings(), "risk_severity >= high"), "risk_severity>=4");
  EXPECT_EQ(Read(Endpoints(), "clock_offset < -2m"), "clock_offset<-120000000");
  EXPECT_EQ(Read(Endpoints(), "endpoint_id = 00112233445566778899AABBCCDDEEFF"),
            "endpoint_id=00112233445566778899aabbccddeeff");
}

TEST(Filter, AsksASetForOneOfItsWords) {
  const std::string watch = base::HexEncode(base::AsBytes("watch-nc"));
  EXPECT_EQ(Read(Sightings(), "audit = watch-nc"), "audit=" + watch);
  EXPECT_EQ(Read(Sightings(), "audit:\"watch-nc\""), "audit=" + watch);
  EXPECT_EQ(Read(Sightings(), "audit != watch-nc"), "not(audit=" + watch + ")");
  EXPECT_EQ(Read(Sightings(), "audit:*"), "audit?");
  for (const char* const bad : {"audit = \"a b\"", "audit = \"\"", "audit = \"\xff\""}) {
    EXPECT_EQ(Read(Sightings(), bad), "filter, column 9: expected a word: UTF-8 without blanks");
  }
  EXPECT_EQ(Read(Sightings(), "audit < a"), "filter, column 7: audit is compared by = and != only");
  EXPECT_EQ(Read(Sightings(), "audit = a*"), "filter, column 9: a * goes with texts only");
}

TEST(Filter, ReadsTimesAsRfc3339HasThem) {
  EXPECT_EQ(Read(Endpoints(), "enrolled_time > 1970-01-02"), "enrolled_time>86400000000");
  EXPECT_EQ(Read(Endpoints(), "enrolled_time > \"1970-01-01T01:00:00.25Z\""),
            "enrolled_time>3600250000");
  EXPECT_EQ(Read(Endpoints(), "enrolled_time > 1970-01-01T01:00:00+01:00"), "enrolled_time>0");
  for (const std::string bad : {"2026-02-30", "2026-03-01T24:00:00Z", "2026-03-01T12:00:00",
                                "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00Zz", "yesterday"}) {
    EXPECT_NE(
        Read(Endpoints(), "enrolled_time > " + bad).find("write a day, 2026-03-01, or a time"),
        std::string::npos)
        << bad;
  }
}

TEST(Filter, SaysWhereAndWhatIsWrong) {
  EXPECT_EQ(Read(Endpoints(), "os = linux AND hostnme = a"),
            "filter, column 16: there is no field \"hostnme\"; did you mean \"hostname\"?");
  EXPECT_EQ(Read(Endpoints(), "os = linux hostname = a"),
            "filter, column 12: expected AND or OR between two comparisons");
  EXPECT_EQ(Read(Endpoints(), "(os = linux"), "filter, column 1: there is no ) for this (");
  EXPECT_EQ(Read(Endpoints(), "os = linux)"), "filter, column 11: there is no ( for this )");
  EXPECT_EQ(Read(Endpoints(), "os = \"linux"), "filter, column 6: this quote is not closed");
  EXPECT_EQ(Read(Endpoints(), "state = activ"),
            "filter, column 9: \"activ\" is no state; did you mean \"active\"?");
  EXPECT_EQ(Read(Endpoints(), "os"),
            "filter, column 3: expected =, !=, <, <=, >, >= or : after os");
  EXPECT_EQ(Read(Endpoints(), "os = a*b"),
            "filter, column 6: a * stands at the beginning or the end; \\* is the character");
  EXPECT_EQ(Read(Endpoints(), "denied = 1*"), "filter, column 10: a * goes with texts only");
  EXPECT_EQ(Read(Endpoints(), "endpoint_id < 00"),
            "filter, column 13: endpoint_id is compared by = and != only");
  EXPECT_EQ(Read(Endpoints(), "os = \"a\xff\""), "filter, column 6: a text is UTF-8 without NUL");
}

TEST(Filter, IsReadUpToItsLimits) {
  const auto repeated = [](std::size_t times) {
    std::string text = "denied > 0";
    for (std::size_t i = 1; i < times; ++i) text += " OR denied > 0";
    return text;
  };
  EXPECT_TRUE(ParseFilter(Endpoints(), repeated(base::limits::kMaxFilterTerms)).has_value());
  EXPECT_FALSE(ParseFilter(Endpoints(), repeated(base::limits::kMaxFilterTerms + 1)).has_value());
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '(') + "denied > 0" + std::string(depth, ')');
  };
  EXPECT_TRUE(ParseFilter(Endpoints(), nested(base::limits::kMaxFilterDepth - 1)).has_value());
  EXPECT_FALSE(ParseFilter(Endpoints(), nested(base::limits::kMaxFilterDepth)).has_value());
  EXPECT_FALSE(ParseFilter(Endpoints(), std::string(100'000, '-')).has_value());
  const std::string long_name(base::limits::kMaxFilterBytes, 'a');
  EXPECT_FALSE(ParseFilter(Endpoints(), "os = " + long_name).has_value());
}

}  // namespace
}  // namespace weighmaster::server::query
