# DuckDB as npm ships it: the library in the platform package of @duckdb/node-bindings, the C header in the
# source tree inside the duckdb package. scripts/setup runs `npm ci`, which puts both under node_modules.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(_duckdb_platform linux-arm64)
else()
  set(_duckdb_platform linux-x64)
endif()
find_library(DuckDB_LIBRARY NAMES duckdb NO_DEFAULT_PATH
  PATHS ${CMAKE_SOURCE_DIR}/node_modules/@duckdb/node-bindings-${_duckdb_platform})
find_path(DuckDB_INCLUDE_DIR NAMES duckdb.h NO_DEFAULT_PATH
  PATHS ${CMAKE_SOURCE_DIR}/node_modules/duckdb/src/duckdb/src/include)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDB REQUIRED_VARS DuckDB_LIBRARY DuckDB_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run scripts/setup, which installs it from npm")

if(DuckDB_FOUND AND NOT TARGET DuckDB::DuckDB)
  # Only duckdb.h is exposed: the folder it comes from holds C++ headers that must not be seen.
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/duckdb-include)
  file(COPY_FILE ${DuckDB_INCLUDE_DIR}/duckdb.h ${CMAKE_BINARY_DIR}/duckdb-include/duckdb.h ONLY_IF_DIFFERENT)
  add_library(DuckDB::DuckDB SHARED IMPORTED)
  set_target_properties(DuckDB::DuckDB PROPERTIES IMPORTED_LOCATION ${DuckDB_LIBRARY} IMPORTED_NO_SONAME FALSE)
  target_include_directories(DuckDB::DuckDB SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/duckdb-include)
endif()

# In the build tree the library is found where npm put it; installed, beside the binary (../lib).
function(gr_duckdb_rpath target)
  get_filename_component(dir ${DuckDB_LIBRARY} DIRECTORY)
  set_target_properties(${target} PROPERTIES BUILD_RPATH "${dir}" INSTALL_RPATH "$ORIGIN/../lib")
endfunction()
