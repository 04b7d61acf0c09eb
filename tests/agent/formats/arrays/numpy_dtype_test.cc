#include "agent/formats/arrays/numpy_dtype.h"

#include <gtest/gtest.h>

namespace weighmaster::agent::formats {
namespace {

std::optional<NumpyDtype> Dtype(std::string_view literal) {
  return ReadNumpyDtype(ReadPythonLiteral(literal).value());
}

std::string_view NameOf(std::string_view literal) {
  const auto dtype = Dtype(literal);
  return dtype.has_value() && dtype->type != nullptr ? dtype->type->name : "";
}

TEST(NumpyDtype, KnowsTheTypesOfWeights) {
  EXPECT_EQ(NameOf("'<f4'"), "F32");
  EXPECT_EQ(NameOf("'|b1'"), "BOOL");
  EXPECT_EQ(NameOf("'<c16'"), "C128");
  EXPECT_EQ(NameOf("'float16'"), "F16");
  EXPECT_EQ(NameOf("'|V2'"), "");  // a bfloat16, or two bytes of anything
  EXPECT_EQ(NameOf("'<f16'"), "");
  EXPECT_TRUE(Dtype("'>i8'")->big_endian);
  EXPECT_FALSE(Dtype("'<i8'")->big_endian);
}

TEST(NumpyDtype, CountsTheBytesOfOthers) {
  EXPECT_EQ(Dtype("'<U5'")->bytes, 20U);
  EXPECT_EQ(Dtype("'|S7'")->bytes, 7U);
  EXPECT_EQ(Dtype("'<M8[ns]'")->bytes, 8U);
  EXPECT_EQ(Dtype("'<g'")->bytes, std::nullopt);
  EXPECT_EQ(Dtype("[('x', '<f4'), (('title', 'y'), '<i2', (2, 3)), ('', '|V2')]")->bytes, 18U);
  EXPECT_EQ(Dtype("('<f4', (3,))")->bytes, 12U);
}

TEST(NumpyDtype, FindsObjectsAnywhere) {
  EXPECT_TRUE(Dtype("'|O'")->has_objects);
  EXPECT_TRUE(Dtype("'object'")->has_objects);
  EXPECT_TRUE(Dtype("'i4,O8'")->has_objects);
  EXPECT_TRUE(Dtype("[('a', '<f4'), ('b', [('c', '|O')])]")->has_objects);
  EXPECT_TRUE(Dtype("('|O', (2,))")->has_objects);
  EXPECT_FALSE(Dtype("[('O', '<f4')]")->has_objects);
}

TEST(NumpyDtype, RefusesWhatIsNone) {
  for (const char* literal : {"3", "None", "[1]", "[('a',)]", "('<f4', 'x')", "[(1, '<f4')]"}) {
    EXPECT_FALSE(Dtype(literal).has_value()) << literal;
  }
}

}  // namespace
}  // namespace weighmaster::agent::formats
