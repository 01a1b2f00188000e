(function () {
  document.querySelectorAll('[data-kl-table=NAME]:not([data-kl-ready])').forEach(function (root) {
    root.setAttribute('data-kl-ready', '');
    var words = WORDS, read = root.querySelector('.kl-read'), cells = [];
    var heads = root.querySelectorAll('thead th[scope=col]');
    root.querySelectorAll('tbody tr').forEach(function (row, i) {
      cells.push(Array.prototype.slice.call(row.querySelectorAll('td')));
      cells[i].forEach(function (cell, j) {
        cell.tabIndex = i + j ? -1 : 0;
        function tell() {
          root.querySelectorAll('.kl-on').forEach(function (x) { x.classList.remove('kl-on'); });
          row.querySelector('th').classList.add('kl-on');
          heads[j].classList.add('kl-on');
          read.textContent = words[i][j];
        }
        cell.addEventListener('pointerenter', tell);
        cell.addEventListener('click', tell);
        cell.addEventListener('focus', function () {
          root.querySelector('td[tabindex="0"]').tabIndex = -1;
          cell.tabIndex = 0;
          tell();
        });
        cell.addEventListener('keydown', function (event) {
          var step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1],
                       ArrowRight: [0, 1] }[event.key];
          var next = step && cells[i + step[0]] && cells[i + step[0]][j + step[1]];
          if (step) { event.preventDefault(); }
          if (next) { next.focus(); }
        });
      });
    });
  });
})();
