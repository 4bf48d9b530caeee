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
# optimized enough that training under sanitizers stays bearable
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

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
  # off: assert(!"why"); double x = INFINITY (gcc knows that it is harmless, and looks at the rest);
  # loops that are not vectorized in builds with sanitizers
  add_compile_options(-Wimplicit-fallthrough -Wcomma -Wno-string-conversion -Wno-double-promotion
                      -Wno-pass-failed)
endif()
if(NIBBLE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "NIBBLE_FUZZ needs clang's libFuzzer: set CMAKE_C_COMPILER=clang")
  endif()
  if(NOT NIBBLE_SANITIZE)
    set(NIBBLE_SANITIZE fuzzer-no-link,address,undefined)
  endif()
endif()
if(NIBBLE_SANITIZE)
  add_compile_options(-fsanitize=${NIBBLE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NIBBLE_SANITIZE})
endif()
if(NIBBLE_WERROR)
  # what compilers after those the project is kept clean with (gcc 12, clang 14) add stays a warning
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 13
     OR CMAKE_C_COMPILER_ID MATCHES "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 15)
    add_compile_options(-Werror)
  endif()
endif()

# nb_layer(NAME SOURCES... [LINK targets...]): one folder of src/ as an object library nb_NAME.
function(nb_layer name)
  cmake_parse_arguments(L "" "" "LINK" ${ARGN})
  add_library(nb_${name} OBJECT ${L_UNPARSED_ARGUMENTS})
  target_include_directories(nb_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(nb_${name} PUBLIC m Threads::Threads ${L_LINK})
  set_property(GLOBAL APPEND PROPERTY NB_LAYERS nb_${name})
endfunction()

# Sanitized programs must not end in an error for what fontconfig keeps until the end.
set(NB_SANITIZER_SOURCE)
if(NIBBLE_SANITIZE MATCHES "address" OR CMAKE_C_FLAGS MATCHES "sanitize=address")
  set(NB_SANITIZER_SOURCE ${CMAKE_SOURCE_DIR}/cmake/sanitizer.c)
endif()

# nb_library(NAME STATIC_TARGET LAYERS...): libNAME.a and libNAME.so from the same objects. The shared
# one exports what NB_API marks, with symbol versions, and may leave nothing undefined.
function(nb_library name archive)
  add_library(${archive} STATIC)
  target_link_libraries(${archive} PUBLIC ${ARGN})
  set_target_properties(${archive} PROPERTIES OUTPUT_NAME ${name})

  set(shared ${name}_shared)
  set(map ${CMAKE_SOURCE_DIR}/cmake/nibble.map)
  add_library(${shared} SHARED)
  target_link_libraries(${shared} PRIVATE ${ARGN})
  target_link_options(${shared} PRIVATE -Wl,--version-script=${map} -Wl,-z,relro,-z,now)
  if(NOT NIBBLE_SANITIZE AND NOT CMAKE_C_FLAGS MATCHES "sanitize") # those come with the program
    target_link_options(${shared} PRIVATE -Wl,-z,defs -Wl,--as-needed)
  endif()
  set_target_properties(${shared} PROPERTIES
    OUTPUT_NAME ${name} LINKER_LANGUAGE C LINK_DEPENDS ${map}
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  install(TARGETS ${archive} ${shared}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  set(NB_LIBRARY ${name})
  configure_file(cmake/nibble.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# The two libraries and the program. libnibble_rt is what a device needs to run a model: checkpoints,
# graph, integer engine and the part of the public interface over them.
function(nb_libraries)
  include(GNUInstallDirs)
  get_property(layers GLOBAL PROPERTY NB_LAYERS)
  list(REMOVE_ITEM layers nb_cli)
  set(runtime)
  foreach(layer base tensor format quant graph detect model data_pixels lower engine api_runtime)
    if(TARGET nb_${layer})
      list(APPEND runtime nb_${layer})
    endif()
  endforeach()
  set(NB_REQUIRES "yaml-0.1 jansson zlib")
  nb_library(nibble_rt nibble_runtime ${runtime})
  install(DIRECTORY include/nibble DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(FILES python/nibble.py DESTINATION ${CMAKE_INSTALL_DATADIR}/nibble/python)
  install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
  if(NIBBLE_RUNTIME_ONLY)
    return()
  endif()
  set(NB_REQUIRES "${NB_REQUIRES} libpng libturbojpeg expat cairo libprotobuf-c")
  if(NIBBLE_MATIO AND MATIO_FOUND)
    string(APPEND NB_REQUIRES " matio")
  endif()
  set(NB_LIBS_PRIVATE "-ldnnl")
  nb_library(nibble nibble_all ${layers})
  if(TARGET nb_cli)
    add_executable(nibble_program $<TARGET_OBJECTS:nb_cli> ${NB_SANITIZER_SOURCE})
    set_target_properties(nibble_program PROPERTIES OUTPUT_NAME nibble LINKER_LANGUAGE C)
    target_link_libraries(nibble_program PRIVATE nb_cli nibble_all)
    install(TARGETS nibble_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()
