# cmake -D IN=file -D OUT=stem -D NAME=kName -P embed.cmake: OUT.pb.h and OUT.pb.cc with the bytes of IN.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\"\n\"" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
file(SIZE ${IN} size)
file(WRITE ${OUT}.pb.h "#pragma once
#include <string_view>
namespace weighmaster::v1 {
extern const std::string_view ${NAME};
}
")
get_filename_component(stem ${OUT} NAME)
file(WRITE ${OUT}.pb.cc "#include \"weighmaster/v1/${stem}.pb.h\"
namespace weighmaster::v1 {
static const char kBytes[] =
\"${bytes}\";
const std::string_view ${NAME}(kBytes, ${size});
}
")
