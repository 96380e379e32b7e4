# SPDX-License-Identifier: Apache-2.0
# r53fwd_embed(NAME FILE): a C source in the build folder with `const char NAME[]`, the file's octets and a zero behind them.
# As a script (cmake -DNAME=… -DINPUT=… -DOUTPUT=… -P embed.cmake) it writes that source.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} octets HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," octets "${octets}")
  file(WRITE ${OUTPUT} "extern const char ${NAME}[];\nconst char ${NAME}[] = {${octets}0};\n")
  return()
endif()

function(r53fwd_embed name file)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/embedded)
  add_custom_command(
    OUTPUT ${CMAKE_BINARY_DIR}/embedded/${name}.c
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DINPUT=${file} -DOUTPUT=${CMAKE_BINARY_DIR}/embedded/${name}.c
      -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    VERBATIM)
endfunction()
