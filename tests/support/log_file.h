#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/temp_folder.h"
#include "third_party/spdlog/log.h"

namespace weighmaster::tests {

// As long as it lives, what the process logs is here and not on standard error.
class LogFile {
 public:
  explicit LogFile(logging::Options options = {}) {
    options.file = folder_ / "log";
    EXPECT_TRUE(logging::SetUp(options).has_value());
  }
  ~LogFile() { EXPECT_TRUE(logging::SetUp({}).has_value()); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  std::string Text() const {
    std::ostringstream text;
    text << std::ifstream(folder_ / "log").rdbuf();
    return text.str();
  }
  bool Has(const std::string& part) const { return Text().find(part) != std::string::npos; }

 private:
  const TempFolder folder_;
};

}  // namespace weighmaster::tests
