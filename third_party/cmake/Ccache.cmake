# A second clone, in another folder, must hit the cache that the first one filled: paths are made
# relative to the checkout, and neither the working folder nor a build's own prefix is hashed.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true
      CCACHE_SLOPPINESS=include_file_ctime,include_file_mtime ${CCACHE_PROGRAM})
endif()
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
