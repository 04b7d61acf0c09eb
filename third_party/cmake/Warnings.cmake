# The one target that carries warnings, sanitizers and hardening; every room links it.
add_library(weighmaster_options INTERFACE)
add_library(weighmaster::options ALIAS weighmaster_options)
target_compile_options(weighmaster_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast)
if(WEIGHMASTER_WERROR)
  target_compile_options(weighmaster_options INTERFACE -Werror)
endif()

if(WEIGHMASTER_SANITIZE)
  # The check of virtual tables opens pipes to look at memory, which a confined worker of the cage
  # cannot: each of its files would count as one that kills the parser.
  add_compile_options(-fsanitize=${WEIGHMASTER_SANITIZE} -fno-sanitize=vptr
                      -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WEIGHMASTER_SANITIZE})
  add_compile_definitions(WEIGHMASTER_SANITIZED=1)
endif()
if(WEIGHMASTER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-O2 -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong
                      -fstack-clash-protection -fcf-protection)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
endif()
