#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace weighmaster::tests {

// A strict reader of what Prometheus reads, in the one form that we write: each family has its help
// and its type, then its samples, and nothing is there twice. More than the format asks for, and
// nothing that it does not allow.
class MetricsReader {
 public:
  using Labels = std::map<std::string, std::string>;
  struct Sample {
    std::string name;
    Labels labels;
    friend auto operator<=>(const Sample&, const Sample&) = default;
  };

  explicit MetricsReader(const std::string& text) {
    EXPECT_TRUE(text.ends_with('\n'));
    std::istringstream lines(text);
    std::string family;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("# HELP ")) {
        family = line.substr(7, line.find(' ', 7) - 7);
        EXPECT_TRUE(IsName(family)) << line;
        EXPECT_TRUE(families_.insert(family).second) << family << " is there twice";
        std::getline(lines, line);
        ReadType(family, line);
      } else {
        ReadSample(family, line);
      }
    }
  }

  // "absent" when there is none.
  std::string Value(const std::string& name, const Labels& labels = {}) const {
    const auto found = samples_.find({name, labels});
    return found == samples_.end() ? "absent" : found->second;
  }
  const std::map<Sample, std::string>& samples() const { return samples_; }

 private:
  static bool IsName(std::string_view text) {
    if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
    for (const char c : text) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
    }
    return true;
  }
  static void ReadType(const std::string& family, const std::string& line) {
    const bool is_counter = line == "# TYPE " + family + " counter";
    EXPECT_TRUE(is_counter || line == "# TYPE " + family + " gauge") << line;
    EXPECT_EQ(is_counter, family.ends_with("_total")) << line;
  }
  void ReadSample(const std::string& family, const std::string& line) {
    std::size_t at = line.find_first_of("{ ");
    Sample sample{line.substr(0, at), {}};
    EXPECT_EQ(sample.name, family) << line;
    if (at != std::string::npos && line[at] == '{') at = ReadLabels(line, at, sample.labels);
    ASSERT_LT(at, line.size()) << line;
    EXPECT_EQ(line[at], ' ') << line;
    const std::string value = line.substr(at + 1);
    EXPECT_FALSE(value.empty()) << line;
    EXPECT_EQ(value.find_first_not_of("0123456789."), std::string::npos) << line;
    EXPECT_TRUE(samples_.emplace(sample, value).second) << line << " is there twice";
  }
  // From the brace; returns what follows the other one, or the end of the line when it is broken.
  static std::size_t ReadLabels(const std::string& line, std::size_t at, Labels& labels) {
    while (line[at] != '}') {
      const std::size_t equals = line.find("=\"", ++at);
      if (equals == std::string::npos) return line.size();
      const std::string name = line.substr(at, equals - at);
      EXPECT_TRUE(IsName(name)) << line;
      std::string value;
      for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] == '\\') {
          ++at;
          EXPECT_NE(std::string_view("\\\"n").find(line.at(at)), std::string_view::npos) << line;
          value += line.at(at) == 'n' ? '\n' : line.at(at);
        } else {
          value += line[at];
        }
      }
      EXPECT_TRUE(labels.emplace(name, value).second) << line;
      if (++at >= line.size() || (line[at] != ',' && line[at] != '}')) return line.size();
    }
    return at + 1;
  }

  std::set<std::string> families_;
  std::map<Sample, std::string> samples_;
};

}  // namespace weighmaster::tests
