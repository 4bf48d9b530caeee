# How this project compiles: flags, and the functions that its CMakeLists use.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# asserts stay on in every build; -O2 with vectorisation is what release means
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O3 -g")

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -ffp-contract=off -fno-math-errno
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wdouble-promotion
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wwrite-strings
  -Wcast-qual -Wformat=2 -Wswitch-enum -Wpointer-arith)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wlogical-op -Wduplicated-cond -Wduplicated-branches
                      -Wimplicit-fallthrough=5)
else()
  add_compile_options(-Wimplicit-fallthrough -Wcomma)
endif()
if(NIBBLE_WERROR)
  add_compile_options(-Werror)
endif()

# nb_layer(NAME SOURCES... [LINK targets...]): one folder of src/ as an object library nb_NAME.
function(nb_layer name)
  cmake_parse_arguments(L "" "" "LINK" ${ARGN})
  add_library(nb_${name} OBJECT ${L_UNPARSED_ARGUMENTS})
  target_include_directories(nb_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(nb_${name} PUBLIC m Threads::Threads ${L_LINK})
  set_property(GLOBAL APPEND PROPERTY NB_LAYERS nb_${name})
endfunction()

# Everything as one static archive for the program and the tests, and the two shared libraries.
function(nb_libraries)
  get_property(layers GLOBAL PROPERTY NB_LAYERS)
  list(REMOVE_ITEM layers nb_cli)
  add_library(nibble_all STATIC)
  target_link_libraries(nibble_all PUBLIC ${layers})
  if(TARGET nb_cli)
    add_executable(nibble_program $<TARGET_OBJECTS:nb_cli>)
    set_target_properties(nibble_program PROPERTIES OUTPUT_NAME nibble LINKER_LANGUAGE C)
    target_link_libraries(nibble_program PRIVATE nb_cli nibble_all)
  endif()
endfunction()
